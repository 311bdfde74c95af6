#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.hpp"

namespace plumb {

/// What one row of a dataset is.
enum class DatasetKind {
  kPrompt,    // a prompt, perhaps with a reference answer
  kPair,      // a prompt with a better and a worse answer
  kUnpaired,  // a prompt with one answer and whether it is good
  kSft,       // a prompt with the answer to learn
};
/// "prompt", "pair", "unpaired", "sft".
std::string_view to_string(DatasetKind kind);

/// A phrase of the better answer that stands against one of the worse answer: byte ranges, half
/// open, at most one of them empty.
struct KeySpan {
  std::size_t chosen_begin = 0, chosen_end = 0, rejected_begin = 0, rejected_end = 0;
  bool operator==(const KeySpan&) const = default;
};

/// A row in normal form. Texts are byte for byte what the JSON strings stand for.
struct DatasetRow {
  std::int64_t line = 0;  // 1-based physical line
  std::string id;         // the row's own id (numbers as their digits), empty if it has none
  std::vector<Message>
      messages;  // the prompt: a system message or none, then user (assistant user)*
  std::optional<std::string> reference;                // reference answer
  std::optional<std::string> kind;                     // query type: "open" or "constrained"
  std::string chosen, rejected;                        // kPair
  std::optional<double> chosen_score, rejected_score;  // kPair: both or none, finite
  std::vector<KeySpan> key_spans;                      // kPair: ascending; empty if none is marked
  std::string completion;                              // kUnpaired, kSft
  bool label = true;                                   // kUnpaired: the completion is a good one

  /// The id, or "line N" for a row without one.
  std::string name() const;
};

/// A line that gave no row.
struct RejectedLine {
  std::int64_t line = 0;
  std::string code;    // "bad_json", "missing_field", "wrong_type", "duplicate", ...
  std::string reason;  // for people; printable whatever the row holds
};

struct Dataset {
  DatasetKind kind = DatasetKind::kPrompt;
  std::vector<DatasetRow> rows;
  std::vector<RejectedLine> rejected;
  std::vector<std::string> warnings;  // "score_order: ... (line 6)"
  std::string mapping;                // one sentence: which fields were read as what
};

struct DatasetOptions {
  /// The kind to read; by default that of the first row that looks like one. With kPrompt every
  /// file is a source of prompts: answers are left out, those of kSft rows become references.
  std::optional<DatasetKind> kind;
  /// Throws at the first line that gives no row (but for exact repetitions).
  bool strict = false;
};

/// Reads a JSONL file (UTF-8, perhaps gzip) in any common shape: TRL preference data (explicit or
/// implicit prompt, texts or messages), unpaired, prompt-only and prompt-completion data; Alpaca,
/// ShareGPT and OpenAI message files and their preference variants; "\n\nHuman: ... \n\nAssistant:
/// ..." transcripts; typed prompts ({prompt|input, reference|output, qtype}). The first row decides
/// the kind; rows of another kind are rejected. Number and text ids are one space: 1 equals "1".
/// Roles must be an optional system message, then user and assistant in turn; a completion is one
/// assistant message. Throws DataError for a file that is not JSONL at all (empty, UTF-16, one JSON
/// document, ...) or, when strict, for a row.
Dataset read_dataset(const std::filesystem::path& file, const DatasetOptions& options = {});

}  // namespace plumb
