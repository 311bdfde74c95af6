#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

/// A prompt's statistics in a pair set and what the filter made of them.
struct PromptFilterRow {
  std::int64_t prompt_id = 0;
  std::int64_t n = 0;                 // scored responses
  std::optional<double> best, worst;  // empty if n is 0
  std::optional<std::string> reason;  // why the prompt was dropped; empty = kept
};
void add_prompt_filter(Database& db, std::int64_t pair_set_id,
                       const std::vector<PromptFilterRow>& rows);
/// By prompt id.
std::vector<PromptFilterRow> prompt_filter(const Database& db, std::int64_t pair_set_id);

/// Prompts that the newest decision before an iteration dropped for one of the reasons.
/// @param set  name of the pair sets to look at   @param iteration_index  decisions of earlier ones
std::set<std::int64_t> dropped_prompts(const Database& db, std::int64_t run_id,
                                       const std::string& set, std::int64_t iteration_index,
                                       const std::vector<std::string>& reasons);

}  // namespace plumb::store
