#pragma once
#include <vector>

#include "pipeline/prompt_filter.hpp"
#include "pipeline/scored_groups.hpp"
#include "store/prompt_filter.hpp"

namespace plumb {

/// What the filter made of the prompts of an iteration.
struct FilteredPrompts {
  std::vector<store::PromptFilterRow> rows;  // one a prompt; none if the filter is off
  FilterLimits limits;
  /// The groups whose prompts were not dropped.
  std::vector<PromptGroup> kept(const std::vector<PromptGroup>& groups) const;
};

/// Decides by the scores of filter.module; keeps every prompt if the filter is off. Throws
/// UsageError if the module has not scored the iteration.
FilteredPrompts filter_prompts(const RunContext& context, const store::Iteration& iteration,
                               const std::vector<PromptGroup>& groups);

/// Logs the kept share. Throws DataError if it is below filter.min_kept.
void report_filter(const RunContext& context, const FilteredPrompts& filtered);

/// Takes out the prompts that an earlier iteration of the run dropped as hopeless or flat, unless
/// it is time to try them again (filter.retry) or nothing would be left.
void leave_out_resting(const RunContext& context, const store::Iteration& iteration,
                       std::vector<store::PromptRow>& prompts);

}  // namespace plumb
