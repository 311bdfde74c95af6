#pragma once
#include <span>

#include "pipeline/run_context.hpp"
#include "text/dataset.hpp"

namespace plumb {

/// Rows of one use with what was left out on the way.
struct PromptPool {
  std::vector<store::PromptRow> prompts;
  std::vector<store::RejectedRow> rejected;
};

/// Reads the prompt or pair files, renders and tokenizes each prompt, takes the held-out ones out
/// (with their pairs), and assigns the rest to iterations 1 .. run.iterations. Everything that is
/// not used is stored with its reason. Does nothing for iterations that have their prompts. Throws
/// DataError (unreadable rows, prompts too long) as data.bad_rows and data.truncation say.
void store_run_prompts(RunContext& context);

/// Says on the log why the first few of these rows are not used.
void warn_of_rejected(std::span<const store::RejectedRow> rows);

/// Reads a dataset file as data.bad_rows says; warnings are logged, unreadable rows added to
/// `rejected`. Throws DataError.
Dataset read_run_dataset(const RunContext& context, const std::string& file, DatasetKind kind,
                         std::vector<store::RejectedRow>& rejected);

/// A row's prompt, rendered and tokenized, not yet stored. Throws DataError if its roles do not fit
/// the chat format.
store::PromptRow make_prompt_row(const RunContext& context, const std::string& file,
                                 const DatasetRow& row);

/// Messages of a stored prompt.
std::vector<Message> messages_of(const store::PromptRow& prompt);
/// Messages as they are stored.
std::string messages_json(const std::vector<Message>& messages);

/// Token ids of a whole answer from a file: its text and the chat format's end of turn (or EOS).
std::vector<std::int32_t> answer_ids(const RunContext& context, const std::string& text);

}  // namespace plumb
