#pragma once
#include <optional>
#include <string>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

struct PromptRow {
  std::int64_t id = 0;
  std::string dataset;              // file name it came from
  std::string split = "train";      // train, heldout
  std::string external_id;          // id in the file, or its line number
  std::optional<std::string> kind;  // "open", "constrained", NULL
  std::optional<std::string> reference_answer;
  std::string messages;           // JSON array of {role, content}
  std::string text;               // rendered chat
  std::vector<std::int32_t> ids;  // token ids of the rendered chat
};
/// Adds a prompt unless one with the same content (messages, kind, reference answer, rendered text,
/// ids) is there. @return its id
std::int64_t add_prompt(Database& db, const PromptRow& prompt);
std::optional<PromptRow> find_prompt(const Database& db, std::int64_t id);
/// Content hash that addresses a prompt; also the source of its random stream.
std::string prompt_sha256(const PromptRow& prompt);  // 32 bytes

/// The prompts of a run in their order, by use ("train" per iteration, "heldout" with iteration 0).
/// Written once, at the run's start.
void set_run_prompts(Database& db, std::int64_t run_id, const std::string& use,
                     std::int64_t iteration_index, const std::vector<std::int64_t>& prompt_ids);
std::vector<PromptRow> run_prompts(const Database& db, std::int64_t run_id, const std::string& use,
                                   std::int64_t iteration_index);

/// Input rows that were not used, each with its reason (bad JSON, too long for the context,
/// duplicate, ...).
struct RejectedRow {
  std::string file;
  std::int64_t line = 0;
  std::string reason;
};
void add_rejected_rows(Database& db, std::int64_t run_id, const std::vector<RejectedRow>& rows);

}  // namespace plumb::store
