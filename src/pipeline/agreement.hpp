#pragma once
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "pipeline/scored_groups.hpp"

/// How far rankers agree on the order of a prompt's responses. Equal texts count once; a prompt
/// with fewer than two responses, or with one that a ranker gave no value, has no agreement. Rows
/// replace those of an earlier pass.
namespace plumb {

/// Stores and reports the Kendall agreement of every two of score.modules (rankers `module:NAME`).
void store_module_agreement(RunContext& context, const store::Iteration& iteration,
                            const std::vector<PromptGroup>& groups);

/// What CREAM (arXiv 2410.12735) makes of an iteration.
struct SelfAgreement {
  std::map<std::int64_t, double> labels;  // C by prompt
  nlohmann::json summary;
};
/// Ranks the responses by the self-rewards of the policy and of the one before it (module `cream`
/// and its component `previous`), stores ranks (`cur`, `prev`) and their agreement by every metric,
/// and makes labels of it by the section consistency. The mean is taken over all prompts, before
/// any pair is dropped. With cream.first_iteration = skip and nothing to compare with, labels
/// are 1. Throws UsageError if `cream` has not scored the iteration.
SelfAgreement store_self_agreement(RunContext& context, const store::Iteration& iteration,
                                   const std::vector<PromptGroup>& groups);

}  // namespace plumb
