#include "text/dataset_prompt.hpp"

#include <utility>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb::dataset {
namespace {

using nlohmann::json;

const char* conversation_field(const RowObject& row) {
  if (row.present("messages")) return "messages";
  if (row.present("conversations")) return "conversations";
  return nullptr;
}

/// [[question, answer], ...]: earlier turns of an Alpaca row.
void add_history(const RowObject& row, Messages& messages) {
  const json& history = row.at("history");
  if (history.is_null()) return;
  const auto fail = [] {
    throw RowFault("wrong_type", "\"history\" is no list of [question, answer] texts");
  };
  if (!history.is_array()) fail();
  for (const json& turn : history) {
    if (!turn.is_array() || turn.size() != 2 || !turn[0].is_string() || !turn[1].is_string()) {
      fail();
    }
    messages.push_back({"user", turn[0].get<std::string>()});
    messages.push_back({"assistant", turn[1].get<std::string>()});
  }
}

/// "\n\nA. first\nB. second", or nothing.
std::string lettered_choices(const RowObject& row) {
  const json& choices = row.at("choices");
  if (choices.is_null() || choices.empty()) return {};
  const auto fail = [] {
    throw RowFault("wrong_type", "\"choices\" is no list of at most 26 texts");
  };
  if (!choices.is_array() || choices.size() > 26) fail();
  std::string text = "\n";
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (!choices[i].is_string()) fail();
    text += cat("\n", static_cast<char>('A' + i), ". ", choices[i].get_ref<const std::string&>());
  }
  return text;
}

Prompt from_text(const RowObject& row, std::string text, std::string source) {
  Prompt prompt{{}, std::move(source), true, false};
  const auto system = text_field(row, "system");
  if (system && !system->empty()) prompt.messages.push_back({"system", *system});
  add_history(row, prompt.messages);
  prompt.messages.push_back({"user", std::move(text)});
  return prompt;
}

Prompt from_messages(const RowObject& row, const char* field) {
  Prompt prompt{read_messages(row.at(field), field), cat("\"", field, "\""), false, false};
  const auto system = text_field(row, "system");
  const bool has_system = !prompt.messages.empty() && prompt.messages[0].role == "system";
  if (system && !system->empty() && !has_system) {
    prompt.messages.insert(prompt.messages.begin(), {"system", *system});
  }
  return prompt;
}

Prompt from_prompt_field(const RowObject& row) {
  const json& value = row.at("prompt");
  if (value.is_array()) return from_messages(row, "prompt");
  if (!value.is_string()) {
    throw RowFault("wrong_type", cat("\"prompt\" is of type ", value.type_name(),
                                     ", expected text or a list of messages"));
  }
  const std::string& text = value.get_ref<const std::string&>();
  auto turns = read_transcript(text);
  if (turns && turns->size() > 1 && turns->back().role == "assistant" &&
      trim(turns->back().content).empty()) {
    turns->pop_back();
    return {std::move(*turns), "\"prompt\" (a transcript)", false, true};
  }
  return from_text(row, text, "\"prompt\"");
}

std::string required_text(const RowObject& row, const char* name) {
  const auto text = text_field(row, name);
  if (!text) throw RowFault("wrong_type", cat("\"", name, "\" is null, expected text"));
  return *text;
}

}  // namespace

std::optional<std::string> text_field(const RowObject& row, const char* name) {
  const json& value = row.at(name);
  if (value.is_null()) return std::nullopt;
  if (!value.is_string()) {
    throw RowFault("wrong_type",
                   cat("\"", name, "\" is of type ", value.type_name(), ", expected text"));
  }
  return value.get<std::string>();
}

std::optional<Prompt> read_prompt(const RowObject& row) {
  if (row.present("prompt")) return from_prompt_field(row);
  if (const char* field = conversation_field(row)) return from_messages(row, field);
  if (row.present("question")) {
    const std::string choices = lettered_choices(row);
    return from_text(row, required_text(row, "question") + choices,
                     choices.empty() ? "\"question\"" : "\"question\" and \"choices\"");
  }
  if (row.present("instruction")) {
    std::string text = required_text(row, "instruction");
    if (trim(text).empty()) throw RowFault("empty_prompt", "\"instruction\" is empty");
    const auto input = text_field(row, "input");
    if (input && !input->empty()) text += "\n\n" + *input;
    return from_text(row, std::move(text), "\"instruction\" with \"input\" after a blank line");
  }
  if (row.present("input") && row.present("qtype")) {
    return from_text(row, required_text(row, "input"), "\"input\"");
  }
  return std::nullopt;
}

bool ends_with_answer(const RowObject& row) {
  const char* field = conversation_field(row);
  if (field == nullptr) return false;
  const json& turns = row.at(field);
  if (!turns.is_array() || turns.empty() || !turns.back().is_object()) return true;
  const json role = turns.back().value("role", turns.back().value("from", json()));
  return role == "assistant" || role == "gpt";
}

}  // namespace plumb::dataset
