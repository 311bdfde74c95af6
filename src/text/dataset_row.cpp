#include "text/dataset_row.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "text/dataset_messages.hpp"
#include "text/dataset_pair.hpp"
#include "text/dataset_prompt.hpp"
#include "text/dataset_spans.hpp"

namespace plumb::dataset {
namespace {

using nlohmann::json;

constexpr const char* kScoreOrder = "score_order";
constexpr const char* kScoreTie = "score_tie";
constexpr const char* kScoreMissing = "score_missing";
constexpr const char* kAmbiguousPrompt = "ambiguous_prompt";
constexpr const char* kUnknownQtype = "unknown_qtype";

/// The first of the names that the row has.
const char* first_present(const RowObject& row, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (row.present(name)) return name;
  }
  return nullptr;
}

const char* completion_name(const RowObject& row) {
  return first_present(row, {"completion", "response", "output"});
}
bool has_prompt(const RowObject& row) {
  return first_present(row, {"prompt", "question", "instruction", "messages", "conversations"}) !=
         nullptr;
}

[[noreturn]] void fail_missing(const RowObject& row, const char* what) {
  throw RowFault("missing_field", cat("no ", what, " (the row has ", row.names(), ")"));
}

std::string read_id(const RowObject& row) {
  const json& id = row.at("id");
  if (id.is_null()) return {};
  if (id.is_string()) return id.get<std::string>();
  if (id.is_number_integer()) return id.dump();
  throw RowFault("wrong_type",
                 cat("\"id\" is of type ",
                     id.is_number() ? "number, but no whole one of 64 bits" : id.type_name(),
                     ", expected text or a whole number"));
}

/// "CONSTRAINED", "openended", ... to the two names of this program.
std::optional<std::string> read_qtype(const RowObject& row, ReadRow& out) {
  const auto given = text_field(row, "qtype");
  if (!given) return std::nullopt;
  std::string letters;
  for (const char c : *given) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalpha(byte) != 0) letters += static_cast<char>(std::tolower(byte));
  }
  if (letters == "constrained") return "constrained";
  if (letters == "open" || letters == "openended") return "open";
  out.warnings.push_back(kUnknownQtype);
  return std::nullopt;
}

std::optional<double> read_score(const RowObject& row, const char* name) {
  const json& value = row.at(name);
  if (value.is_null()) return std::nullopt;
  if (!value.is_number()) {
    throw RowFault("wrong_type",
                   cat("\"", name, "\" is of type ", value.type_name(), ", expected a number"));
  }
  return value.get<double>();
}

void read_scores(const RowObject& row, ReadRow& out) {
  const char* chosen = first_present(row, {"chosen_score", "score_chosen"});
  const char* rejected = first_present(row, {"rejected_score", "score_rejected"});
  if (chosen == nullptr && rejected == nullptr) return;
  out.row.chosen_score = chosen != nullptr ? read_score(row, chosen) : std::nullopt;
  out.row.rejected_score = rejected != nullptr ? read_score(row, rejected) : std::nullopt;
  if (!out.row.chosen_score || !out.row.rejected_score) {
    out.row.chosen_score = out.row.rejected_score = std::nullopt;
    out.warnings.push_back(kScoreMissing);
  } else if (*out.row.chosen_score < *out.row.rejected_score) {
    out.warnings.push_back(kScoreOrder);
  } else if (*out.row.chosen_score == *out.row.rejected_score) {
    out.warnings.push_back(kScoreTie);
  }
}

/// The field that holds the reference answer of a prompt, or null.
const char* reference_name(const RowObject& row) {
  if (const char* name = first_present(row, {"reference", "reference_answer"})) return name;
  if (row.present("question") && row.present("answer")) return "answer";
  return row.present("qtype") && row.present("output") ? "output" : nullptr;
}

void read_reference(const RowObject& row, ReadRow& out) {
  if (const char* name = reference_name(row)) {
    out.row.reference = text_field(row, name);
    out.mapping += cat(", \"", name, "\" is the reference answer");
  }
}

void read_pair_row(const RowObject& row, ReadRow& out) {
  PairTexts pair = read_pair(row);
  out.row.messages = std::move(pair.prompt);
  out.row.chosen = std::move(pair.chosen);
  out.row.rejected = std::move(pair.rejected);
  out.row.key_spans = read_key_spans(row, out.row.chosen, out.row.rejected);
  if (pair.boundary_is_guess) out.warnings.push_back(kAmbiguousPrompt);
  read_scores(row, out);
  out.mapping = cat("the prompt is ", pair.prompt_source, ", the answers are the ",
                    pair.answer_form, " \"chosen\" and \"rejected\"");
  read_reference(row, out);
}

Prompt required_prompt(const RowObject& row) {
  auto prompt = read_prompt(row);
  if (!prompt) {
    fail_missing(row,
                 "prompt: none of \"prompt\", \"messages\", \"conversations\", \"question\", "
                 "\"instruction\"");
  }
  return std::move(*prompt);
}

/// Prompt and one completion, from two fields or from a conversation.
void read_answered_row(const RowObject& row, ReadRow& out) {
  Prompt prompt = required_prompt(row);
  const char* name = completion_name(row);
  if (name == nullptr) {
    if (row.present("prompt") || prompt.is_text) {
      fail_missing(row, "\"completion\" (or \"response\", \"output\")");
    }
    Conversation conversation = split_conversation(std::move(prompt.messages));
    out.row.messages = std::move(conversation.prompt);
    out.row.completion = std::move(conversation.completion);
    out.mapping = cat("the last message of ", prompt.source,
                      " is the answer, those before it are the prompt");
    return;
  }
  check_prompt(prompt.messages);
  const json& value = row.at(name);
  if (value.is_string()) {
    out.row.completion = value.get<std::string>();
  } else if (value.is_array() || value.is_object()) {
    out.row.completion = completion_after(prompt.messages, read_answer(value, name), name);
  } else {
    throw RowFault("wrong_type", cat("\"", name, "\" is of type ", value.type_name(),
                                     ", expected text or messages"));
  }
  if (trim(out.row.completion).empty()) {
    throw RowFault("empty_completion", cat("\"", name, "\" is empty"));
  }
  out.row.messages = std::move(prompt.messages);
  out.mapping = cat("the prompt is ", prompt.source, ", the answer is \"", name, "\"");
}

void read_unpaired_row(const RowObject& row, ReadRow& out) {
  if (!row.present("label")) fail_missing(row, "\"label\"");
  read_answered_row(row, out);
  const json& label = row.at("label");
  if (label.is_boolean()) {
    out.row.label = label.get<bool>();
  } else if (label.is_number_integer() && (label == 0 || label == 1)) {
    out.row.label = label == 1;
  } else {
    throw RowFault("wrong_type", "\"label\" is neither true nor false (nor 1 or 0)");
  }
  out.mapping += ", \"label\" says whether it is good";
}

void read_prompt_row(const RowObject& row, ReadRow& out) {
  const DatasetKind kind = kind_of(row).value_or(DatasetKind::kPrompt);
  if (kind == DatasetKind::kPair) {
    PairTexts pair = read_pair(row);
    out.row.messages = std::move(pair.prompt);
    out.mapping = cat("the prompt is ", pair.prompt_source, ", the answers are left out");
  } else if (kind == DatasetKind::kPrompt) {
    Prompt prompt = required_prompt(row);
    check_prompt(prompt.messages);
    out.row.messages = std::move(prompt.messages);
    out.mapping = cat("the prompt is ", prompt.source);
  } else {
    read_answered_row(row, out);
    if (kind == DatasetKind::kSft) out.row.reference = out.row.completion;
    out.mapping += kind == DatasetKind::kSft ? ", taken as the reference" : ", left out";
    out.row.completion.clear();
  }
  read_reference(row, out);
}

}  // namespace

std::optional<DatasetKind> kind_of(const RowObject& row) {
  if (row.present("chosen") || row.present("rejected")) return DatasetKind::kPair;
  const char* completion = completion_name(row);
  if (row.present("label") && (completion != nullptr || ends_with_answer(row))) {
    return DatasetKind::kUnpaired;
  }
  if (row.present("completion") || row.present("response")) return DatasetKind::kSft;
  if (row.present("qtype") && (has_prompt(row) || row.present("input"))) {
    return DatasetKind::kPrompt;
  }
  if (completion != nullptr || ends_with_answer(row)) return DatasetKind::kSft;
  if (has_prompt(row)) return DatasetKind::kPrompt;
  return std::nullopt;
}

ReadRow read_row(const RowObject& row, DatasetKind kind) {
  ReadRow out;
  switch (kind) {
    case DatasetKind::kPrompt:
      read_prompt_row(row, out);
      break;
    case DatasetKind::kPair:
      read_pair_row(row, out);
      break;
    case DatasetKind::kUnpaired:
      read_unpaired_row(row, out);
      break;
    case DatasetKind::kSft:
      read_answered_row(row, out);
      break;
  }
  out.row.id = read_id(row);
  out.row.kind = read_qtype(row, out);
  return out;
}

const char* row_warning(std::string_view code) {
  if (code == kScoreOrder) {
    return "the score of the rejected answer is above that of the chosen one";
  }
  if (code == kScoreTie) return "both answers have the same score";
  if (code == kScoreMissing) return "only one answer has a score; both are left out";
  if (code == kAmbiguousPrompt) {
    return "where the prompt ends is not marked; it was cut behind the last blank before the "
           "answers differ";
  }
  if (code == kUnknownQtype) return "\"qtype\" is neither open nor constrained; it is left out";
  return "";
}

}  // namespace plumb::dataset
