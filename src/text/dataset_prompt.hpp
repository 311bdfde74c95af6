#pragma once
#include <optional>
#include <string>

#include "text/dataset_json.hpp"
#include "text/dataset_messages.hpp"

namespace plumb::dataset {

/// The text of an optional field; absent where it is missing or null. Throws RowFault wrong_type.
std::optional<std::string> text_field(const RowObject& row, const char* name);

/// A prompt and the fields that it was read from.
struct Prompt {
  Messages messages;
  std::string source;    // "\"instruction\" and \"input\""
  bool is_text = false;  // it was one text, not messages
  bool transcript = false;
};

/// The row's explicit prompt, unchecked: "prompt" (text, transcript or messages), "messages" or
/// "conversations", "question", "instruction" with "input", or "input" of a typed prompt; with
/// "system" before it and "history" and "choices" where they are. Absent if the row has none of
/// these fields. Throws RowFault.
std::optional<Prompt> read_prompt(const RowObject& row);

/// True if the row holds a conversation whose last turn is the assistant's.
bool ends_with_answer(const RowObject& row);

}  // namespace plumb::dataset
