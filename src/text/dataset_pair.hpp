#pragma once
#include <optional>
#include <string>

#include "text/dataset_prompt.hpp"

namespace plumb::dataset {

/// A pair in normal form.
struct PairTexts {
  Messages prompt;
  std::string chosen, rejected;
  std::string prompt_source;
  std::string answer_form;  // "texts", "messages", ...
  bool boundary_is_guess =
      false;  // the prompt's end was taken from where two texts begin to differ
};

/// Prompt, better and worse answer of a row with "chosen" and "rejected". Without a prompt field
/// the prompt is what both sides have in common: whole messages, transcript turns, or the words of
/// two texts (as TRL does, but never cutting a word). Throws RowFault: missing_field, wrong_type,
/// identical_pair, empty_completion, empty_prompt, no_common_prompt, prompt_mismatch, ...
PairTexts read_pair(const RowObject& row);

/// The messages of an answer: a list of them, or one message alone. Throws RowFault.
Messages read_answer(const nlohmann::json& value, const char* field);

/// The one assistant message of a completion that follows `prompt`; the messages may repeat the
/// prompt before it.
std::string completion_after(const Messages& prompt, const Messages& messages, const char* field);

}  // namespace plumb::dataset
