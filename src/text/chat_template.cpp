#include "text/chat_template.hpp"

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "text/chat_template_formats.hpp"
#include "text/unicode.hpp"

namespace plumb {
namespace {

const ChatFormat* find_format(std::string_view name) {
  const auto formats = chat_formats();
  const auto found = std::find_if(formats.begin(), formats.end(),
                                  [&](const ChatFormat& f) { return f.name == name; });
  return found == formats.end() ? nullptr : &*found;
}

const ChatFormat& format_of(const ChatTemplate& chat) {
  const ChatFormat* format = find_format(chat.name());
  expects(format != nullptr, "the name of a chat format");
  return *format;
}

/// Python's str.strip().
std::string_view strip(std::string_view text) {
  const auto is_space = [](char32_t c) { return unicode::is_space(c) || (c >= 0x1C && c <= 0x1F); };
  while (!text.empty() && is_space(unicode::first(text).value))
    text.remove_prefix(unicode::first(text).size);
  while (!text.empty() && is_space(unicode::last(text).value))
    text.remove_suffix(unicode::last(text).size);
  return text;
}

std::string_view strip_lines(std::string_view text, bool left, bool right) {
  while (left && text.starts_with('\n')) text.remove_prefix(1);
  while (right && text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

/// An answer as Qwen3 shows it: with its reasoning after the last question, without it before.
std::string with_settled_thinking(std::string_view content, bool after_last_user, bool is_last) {
  constexpr std::string_view kOpen = "<think>";
  constexpr std::string_view kClose = "</think>";
  std::string_view reasoning;
  if (const std::size_t close = content.find(kClose); close != std::string_view::npos) {
    reasoning = strip_lines(content.substr(0, close), false, true);
    const std::size_t open = reasoning.rfind(kOpen);
    if (open != std::string_view::npos) reasoning.remove_prefix(open + kOpen.size());
    reasoning = strip_lines(reasoning, true, true);
    content = strip_lines(content.substr(content.rfind(kClose) + kClose.size()), true, false);
  }
  if (!after_last_user || (!is_last && reasoning.empty())) return std::string(content);
  return cat("<think>\n", reasoning, "\n</think>\n\n", strip_lines(content, true, false));
}

void append_turn(RenderedChat& chat, const std::string& role, std::string_view content) {
  const std::size_t begin = chat.text.size();
  chat.text += content;
  chat.turns.push_back({role, begin, chat.text.size()});
}

std::size_t last_user(std::span<const Message> messages) {
  for (std::size_t i = messages.size(); i > 0; --i) {
    if (messages[i - 1].role == "user") return i - 1;
  }
  return messages.size();
}

void check_roles(std::span<const Message> messages) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role == "system" || role == "user" || role == "assistant") continue;
    throw DataError(
        cat("message ", i + 1, " has role '", role, "', expected system, user or assistant"));
  }
}

void render_own_turns(const ChatFormat& format, std::span<const Message> messages,
                      RenderedChat& chat) {
  if (!format.default_system.empty() && (messages.empty() || messages[0].role != "system")) {
    chat.text += cat(format.system.before, format.default_system, format.system.after);
  }
  const std::size_t question = last_user(messages);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& [role, content] = messages[i];
    const ChatFormat::Wrap& wrap = role == "system" ? format.system
                                   : role == "user" ? format.user
                                                    : format.assistant;
    chat.text += wrap.before;
    if (format.thinking && role == "assistant") {
      append_turn(chat, role,
                  with_settled_thinking(content, i > question, i + 1 == messages.size()));
    } else {
      append_turn(chat, role, format.trim ? strip(content) : std::string_view(content));
    }
    chat.text += wrap.after;
  }
}

void render_merged_system(const ChatFormat& format, std::span<const Message> messages,
                          RenderedChat& chat) {
  const bool has_system = !messages.empty() && messages[0].role == "system";
  const std::span<const Message> turns = messages.subspan(has_system ? 1 : 0);
  if (has_system && turns.empty()) {
    throw DataError(
        cat("chat format ", format.name, ": a system message needs a user message after it"));
  }
  const std::size_t with_system =
      format.system_place == ChatFormat::System::in_first_user_turn ? 0 : last_user(turns);
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const bool is_user = i % 2 == 0;
    const auto& [role, content] = turns[i];
    if (role != (is_user ? "user" : "assistant")) {
      throw DataError(cat(
          "chat format ", format.name, ": message ", i + 1 + (has_system ? 1 : 0), " has role '",
          role, "'; users and assistants must alternate, a system message may only come first"));
    }
    const ChatFormat::Wrap& wrap = is_user ? format.user : format.assistant;
    chat.text += wrap.before;
    if (has_system && i == with_system) {
      chat.text += format.system.before;
      append_turn(chat, "system", messages[0].content);
      chat.text += format.system.after;
    }
    append_turn(chat, role, format.trim ? strip(content) : std::string_view(content));
    chat.text += wrap.after;
  }
}

/// Marks of one format in a Jinja template; the first row that fits decides.
struct Marks {
  std::string_view format;  // empty: a format that is known and not supported
  std::array<std::string_view, 2> all{};
  std::string_view none{};
};

constexpr std::array kMarks{
    Marks{"", {"<|im_start|>", "<|im_sep|>"}},
    Marks{"", {"<|im_start|>", "reasoning_mode"}},
    Marks{"smollm2", {"<|im_start|>", "named SmolLM, trained by Hugging Face"}},
    Marks{"qwen2.5", {"<|im_start|>", "You are Qwen, created by Alibaba Cloud"}},
    Marks{"qwen3", {"<|im_start|>", "<think>"}},
    Marks{"qwen2", {"<|im_start|>", "You are a helpful assistant"}},
    Marks{"chatml", {"<|im_start|>", "<|im_end|>"}},
    Marks{"llama3", {"<|start_header_id|>", "<|end_header_id|>"}},
    Marks{"gemma", {"<start_of_turn>", "<end_of_turn>"}},
    Marks{"", {"[INST]", "[SYSTEM_PROMPT]"}},
    Marks{"llama2", {"[INST]", "<<SYS>>"}},
    Marks{"mistral-v1", {"' [INST] '", "[/INST]"}},
    Marks{"mistral-v1", {"\" [INST] \"", "[/INST]"}},
    Marks{"mistral-v3", {"[INST]", "[AVAILABLE_TOOLS]"}, "\"[INST]\""},
    Marks{"phi3", {"<|assistant|>", "<|end|>"}},
    Marks{"zephyr", {"<|assistant|>", "<|user|>"}, "<|endoftext|>"},
    Marks{"alpaca", {"### Instruction:", "### Response:"}},
};

bool fit(const Marks& marks, std::string_view jinja) {
  const auto holds = [&](std::string_view mark) {
    return jinja.find(mark) != std::string_view::npos;
  };
  return std::all_of(marks.all.begin(), marks.all.end(), holds) &&
         (marks.none.empty() || !holds(marks.none));
}

}  // namespace

std::vector<std::string> ChatTemplate::names() {
  std::vector<std::string> names;
  for (const ChatFormat& format : chat_formats()) names.emplace_back(format.name);
  return names;
}

ChatTemplate ChatTemplate::named(std::string_view name) {
  if (find_format(name) != nullptr) return ChatTemplate(std::string(name));
  const std::vector<std::string> known = names();
  const std::string nearest = nearest_name(name, known);
  throw UsageError(cat("chat format '", name, "': unknown",
                       nearest.empty() ? "" : ", did you mean '" + nearest + "'?",
                       " (known: ", join(known, ", "), ")"));
}

ChatTemplate ChatTemplate::detect(std::string_view jinja) {
  if (jinja.starts_with(kJinjaMark)) {
    const std::string_view rest = jinja.substr(kJinjaMark.size());
    const std::string_view name = rest.substr(0, rest.find(' '));
    if (find_format(name) != nullptr) return ChatTemplate(std::string(name));
  }
  const auto found = std::find_if(kMarks.begin(), kMarks.end(),
                                  [&](const Marks& marks) { return fit(marks, jinja); });
  if (found != kMarks.end() && !found->format.empty())
    return ChatTemplate(std::string(found->format));
  throw DataError(
      cat("the model's chat template is none of the known formats; name the one to use: ",
          join(names(), ", ")));
}

RenderedChat ChatTemplate::render(std::span<const Message> messages, bool generation_prompt) const {
  const ChatFormat& format = format_of(*this);
  check_roles(messages);
  RenderedChat chat;
  chat.text = format.begin;
  if (format.system_place == ChatFormat::System::own_turn) {
    render_own_turns(format, messages, chat);
  } else {
    render_merged_system(format, messages, chat);
  }
  chat.text += generation_prompt ? format.generation : format.end;
  return chat;
}

std::vector<std::int32_t> ChatTemplate::encode(const Tokenizer& tokenizer,
                                               std::span<const Message> messages,
                                               bool generation_prompt) const {
  const RenderedChat chat = render(messages, generation_prompt);
  std::vector<ProtectedSpan> contents;
  for (const RenderedChat::Turn& turn : chat.turns) contents.push_back({turn.begin, turn.end});
  return tokenizer.encode_template(chat.text, std::move(contents));
}

std::string ChatTemplate::end_of_turn() const { return std::string(format_of(*this).end_of_turn); }

std::string ChatTemplate::jinja() const { return chat_jinja(format_of(*this)); }

}  // namespace plumb
