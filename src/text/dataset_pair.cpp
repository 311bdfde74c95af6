#include "text/dataset_pair.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb::dataset {
namespace {

using nlohmann::json;

bool same(const Message& a, const Message& b) { return a.role == b.role && a.content == b.content; }

std::size_t common_messages(const Messages& a, const Messages& b) {
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.end(), b.begin(), b.end(), same).first - a.begin());
}

[[noreturn]] void fail_identical() {
  throw RowFault("identical_pair", "\"chosen\" and \"rejected\" are the same");
}
[[noreturn]] void fail_nothing_common() {
  throw RowFault(
      "no_common_prompt",
      "the row has no \"prompt\", and \"chosen\" and \"rejected\" do not begin with the same one");
}

/// The only message from `begin` on, which must be the assistant's.
std::string single_answer(const Messages& messages, std::size_t begin, const char* field) {
  if (begin == messages.size()) {
    throw RowFault("empty_completion", cat("\"", field, "\" holds no answer"));
  }
  if (messages[begin].role != "assistant") {
    throw RowFault("bad_role", cat("\"", field, "\" holds a message by the ", messages[begin].role,
                                   ", expected the assistant's answer"));
  }
  if (begin + 1 < messages.size()) {
    throw RowFault("bad_turn_order", cat("\"", field, "\" holds ", messages.size() - begin,
                                         " messages, expected one answer"));
  }
  return messages[begin].content;
}

/// Prompt from two conversations that begin alike.
void split_conversations(const Messages& chosen, const Messages& rejected, PairTexts& out) {
  const std::size_t common = common_messages(chosen, rejected);
  if (common == chosen.size() && common == rejected.size() && common > 0) fail_identical();
  const auto asks = [&](const Messages& side) {
    return common < side.size() && side[common].role != "assistant";
  };
  if (common == 0 || asks(chosen) || asks(rejected)) fail_nothing_common();
  out.prompt.assign(chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(common));
  out.chosen = single_answer(chosen, common, "chosen");
  out.rejected = single_answer(rejected, common, "rejected");
  out.prompt_source = "the messages that \"chosen\" and \"rejected\" have in common";
}

/// Prompt from two texts that begin alike, cut behind the last blank before they differ.
void split_texts(const std::string& chosen, const std::string& rejected, PairTexts& out) {
  if (chosen == rejected) fail_identical();
  const auto difference =
      std::mismatch(chosen.begin(), chosen.end(), rejected.begin(), rejected.end()).first;
  std::size_t end = static_cast<std::size_t>(difference - chosen.begin());
  if (end == chosen.size() || end == rejected.size()) {
    throw RowFault("empty_completion",
                   "one of \"chosen\" and \"rejected\" is the beginning of the other: no answer is "
                   "left beside the common prompt");
  }
  const std::size_t blank = chosen.find_last_of(" \t\n", end == 0 ? 0 : end - 1);
  end = end > 0 && blank < end ? blank + 1
                               : complete_utf8_prefix(std::string_view(chosen).substr(0, end));
  const std::string prompt = chosen.substr(0, end);
  const std::string_view words = trim(prompt);
  if (words.empty()) fail_nothing_common();
  out.prompt = {{"user", prompt}};
  out.chosen = chosen.substr(end);
  out.rejected = rejected.substr(end);
  out.prompt_source = "the common beginning of \"chosen\" and \"rejected\"";
  out.boundary_is_guess = prompt.back() != '\n' && words.back() != ':';
}

/// Answers that are whole conversations under a prompt given as text, as in binarized
/// UltraFeedback.
void split_under_text(const Message& prompt, const Messages& chosen, const Messages& rejected,
                      PairTexts& out) {
  split_conversations(chosen, rejected, out);
  const auto repeats = [&](const Message& message) { return same(message, prompt); };
  if (std::none_of(out.prompt.begin(), out.prompt.end(), repeats)) {
    throw RowFault(
        "prompt_mismatch",
        "\"prompt\" is not among the messages that \"chosen\" and \"rejected\" begin with");
  }
}

std::string strip_one_blank(std::string text) {
  if (text.starts_with(' ')) text.erase(0, 1);
  return text;
}

void read_text_answers(const std::optional<Prompt>& prompt, const std::string& chosen,
                       const std::string& rejected, PairTexts& out) {
  out.answer_form = "texts";
  if (prompt) {
    out.prompt = prompt->messages;
    out.prompt_source = prompt->source;
    out.chosen = prompt->transcript ? strip_one_blank(chosen) : chosen;
    out.rejected = prompt->transcript ? strip_one_blank(rejected) : rejected;
    return;
  }
  const auto chosen_turns = read_transcript(chosen);
  const auto rejected_turns = read_transcript(rejected);
  if (!chosen_turns || !rejected_turns) return split_texts(chosen, rejected, out);
  out.answer_form = "transcripts";
  split_conversations(*chosen_turns, *rejected_turns, out);
}

void read_message_answers(const std::optional<Prompt>& prompt, const Messages& chosen,
                          const Messages& rejected, PairTexts& out) {
  out.answer_form = "messages";
  if (!prompt) return split_conversations(chosen, rejected, out);
  const auto whole = [](const Messages& side) {
    return side.size() > 1 && side[0].role != "assistant";
  };
  if (prompt->is_text && whole(chosen) && whole(rejected)) {
    split_under_text(prompt->messages.back(), chosen, rejected, out);
  } else {
    out.prompt = prompt->messages;
    out.chosen = completion_after(out.prompt, chosen, "chosen");
    out.rejected = completion_after(out.prompt, rejected, "rejected");
  }
  out.prompt_source = prompt->source;
}

const json& answer_field(const RowObject& row, const char* name) {
  if (!row.present(name)) {
    throw RowFault("missing_field", cat("no \"", name, "\" (the row has ", row.names(), ")"));
  }
  const json& value = row.at(name);
  if (!value.is_string() && !value.is_array() && !value.is_object()) {
    throw RowFault("wrong_type", cat("\"", name, "\" is of type ", value.type_name(),
                                     ", expected text or messages"));
  }
  return value;
}

}  // namespace

Messages read_answer(const json& value, const char* field) {
  return read_messages(value.is_object() ? json::array({value}) : value, field);
}

std::string completion_after(const Messages& prompt, const Messages& messages, const char* field) {
  std::size_t begin = common_messages(prompt, messages);
  if (begin < prompt.size()) begin = 0;
  if (begin == 0 && messages.size() > 1 && messages[0].role != "assistant") {
    throw RowFault(
        "prompt_mismatch",
        cat("\"", field, "\" is a conversation that does not begin with the row's prompt"));
  }
  return single_answer(messages, begin, field);
}

PairTexts read_pair(const RowObject& row) {
  const json& chosen = answer_field(row, "chosen");
  const json& rejected = answer_field(row, "rejected");
  if (chosen.is_string() != rejected.is_string()) {
    throw RowFault("wrong_type",
                   "of \"chosen\" and \"rejected\" one is text, the other is messages");
  }
  const std::optional<Prompt> prompt = read_prompt(row);
  PairTexts out;
  if (chosen.is_string()) {
    read_text_answers(prompt, chosen.get<std::string>(), rejected.get<std::string>(), out);
  } else {
    read_message_answers(prompt, read_answer(chosen, "chosen"), read_answer(rejected, "rejected"),
                         out);
  }
  check_prompt(out.prompt);
  const std::string_view better = trim(out.chosen), worse = trim(out.rejected);
  if (better.empty()) throw RowFault("empty_completion", "\"chosen\" is empty");
  if (worse.empty()) throw RowFault("empty_completion", "\"rejected\" is empty");
  if (better == worse) fail_identical();
  return out;
}

}  // namespace plumb::dataset
