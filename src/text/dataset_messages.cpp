#include "text/dataset_messages.hpp"

#include <array>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "text/dataset_json.hpp"

namespace plumb::dataset {
namespace {

using nlohmann::json;

std::string read_role(const json& value, const std::string& where) {
  if (!value.is_string()) {
    throw RowFault("wrong_type",
                   cat(where, ": the role is of type ", value.type_name(), ", expected text"));
  }
  const std::string& name = value.get_ref<const std::string&>();
  if (name == "system" || name == "user" || name == "assistant") return name;
  if (name == "human") return "user";
  if (name == "gpt") return "assistant";
  throw RowFault("bad_role", cat(where, ": the role is ", printable(name),
                                 ", expected system, user (human) or assistant (gpt)"));
}

/// Content as text or as [{"type": "text", "text": ...}, ...]; the parts of one message follow each
/// other directly.
std::string read_content(const json& value, const std::string& where) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) {
    throw RowFault("wrong_type",
                   cat(where, ": the content is of type ", value.type_name(), ", expected text"));
  }
  std::string text;
  for (const json& part : value) {
    if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) {
      throw RowFault(
          "wrong_type",
          cat(where, ": a content part is no {\"type\": \"text\", \"text\": ...} object"));
    }
    if (part["type"] != "text") {
      throw RowFault("unsupported_content",
                     cat(where, ": a content part is of type ",
                         printable(part["type"].get<std::string>()), ", only text can be used"));
    }
    if (!part.contains("text") || !part["text"].is_string()) {
      throw RowFault("wrong_type", cat(where, ": a text part holds no text"));
    }
    text += part["text"].get_ref<const std::string&>();
  }
  return text;
}

Message read_message(const json& value, const std::string& where) {
  if (!value.is_object()) {
    throw RowFault("wrong_type",
                   cat(where, " is of type ", value.type_name(), ", expected {role, content}"));
  }
  const bool share = value.contains("from") && !value.contains("role");
  const char* role = share ? "from" : "role";
  const char* content = share ? "value" : "content";
  if (!value.contains(role)) {
    throw RowFault("wrong_type",
                   cat(where, " has no role, expected {role, content} or {from, value}"));
  }
  if (value.contains("tool_calls") && !value["tool_calls"].is_null()) {
    throw RowFault("unsupported_content", cat(where, " calls a tool, only text can be used"));
  }
  if (!value.contains(content)) {
    throw RowFault("missing_field", cat(where, " has no \"", content, "\""));
  }
  return {read_role(value[role], where), read_content(value[content], where)};
}

/// An optional system message, then user and assistant in turn.
void check_turns(const Messages& messages) {
  const std::size_t first = !messages.empty() && messages[0].role == "system" ? 1 : 0;
  for (std::size_t i = first; i < messages.size(); ++i) {
    const char* expected = (i - first) % 2 == 0 ? "user" : "assistant";
    if (messages[i].role != expected) {
      throw RowFault(
          "bad_turn_order",
          cat("message ", i + 1, " is by the ", messages[i].role, ", expected the ", expected,
              " (a system message may come first, then user and assistant take turns)"));
    }
  }
}

struct Mark {
  std::string_view text;
  const char* role;
};
constexpr std::array<Mark, 2> kMarks{Mark{"\n\nHuman:", "user"},
                                     Mark{"\n\nAssistant:", "assistant"}};

const Mark* mark_at(std::string_view text) {
  for (const Mark& mark : kMarks) {
    if (text.starts_with(mark.text)) return &mark;
  }
  return nullptr;
}

}  // namespace

Messages read_messages(const json& value, const std::string& field) {
  if (!value.is_array()) {
    throw RowFault("wrong_type", cat("\"", field, "\" is of type ", value.type_name(),
                                     ", expected a list of messages"));
  }
  Messages messages;
  for (std::size_t i = 0; i < value.size(); ++i) {
    messages.push_back(read_message(value[i], cat("\"", field, "\" message ", i + 1)));
  }
  return messages;
}

void check_prompt(const Messages& messages) {
  if (messages.empty()) throw RowFault("empty_prompt", "the prompt has no message");
  check_turns(messages);
  if (messages.back().role != "user") {
    throw RowFault("bad_turn_order", cat("the prompt ends with a message by the ",
                                         messages.back().role, ", expected one by the user"));
  }
  if (trim(messages.back().content).empty()) {
    throw RowFault("empty_prompt", "the prompt's last message is empty");
  }
}

Conversation split_conversation(Messages messages) {
  if (messages.empty()) throw RowFault("empty_prompt", "the conversation has no message");
  check_turns(messages);
  if (messages.back().role != "assistant" || trim(messages.back().content).empty()) {
    throw RowFault("empty_completion",
                   "the conversation does not end with an answer by the assistant");
  }
  Conversation out;
  out.completion = std::move(messages.back().content);
  messages.pop_back();
  out.prompt = std::move(messages);
  check_prompt(out.prompt);
  return out;
}

std::optional<Messages> read_transcript(std::string_view text) {
  if (!text.starts_with(kMarks[0].text)) return std::nullopt;
  Messages messages;
  while (!text.empty()) {
    const Mark& mark = *mark_at(text);
    text.remove_prefix(mark.text.size());
    std::size_t end = text.find("\n\n");
    while (end != std::string_view::npos && mark_at(text.substr(end)) == nullptr) {
      end = text.find("\n\n", end + 1);
    }
    std::string_view content = text.substr(0, end);
    if (content.starts_with(' ')) content.remove_prefix(1);
    messages.push_back({mark.role, std::string(content)});
    text.remove_prefix(end == std::string_view::npos ? text.size() : end);
  }
  return messages;
}

}  // namespace plumb::dataset
