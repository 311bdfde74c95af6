#pragma once
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pipeline/run_context.hpp"
#include "store/samples.hpp"

namespace plumb {

/// The responses to one prompt, by sample number.
struct PromptGroup {
  std::int64_t prompt_id = 0;
  std::vector<const store::SampleRow*> responses;
};
/// Training responses by prompt. @param samples  must outlive the groups
std::vector<PromptGroup> group_by_prompt(std::span<const store::SampleRow> samples);
/// The group with the first of equal texts only.
PromptGroup distinct_texts(const PromptGroup& group);

/// Values of an iteration's training responses: scores of a module, or a component of them.
struct ResponseValues {
  std::map<std::int64_t, double> of_sample;
  /// One a response of the group; empty where there is none.
  std::vector<std::optional<double>> of(const PromptGroup& group) const;
};
/// A module's id in the store and its scores of the iteration's training responses, degraded ones
/// included.
struct ModuleScores {
  std::string name;
  std::int64_t module_id = 0;
  ResponseValues scores;
};
/// Scores by the newest module of this name that scored the iteration; empty if there is none.
std::optional<ModuleScores> find_module_scores(const RunContext& context,
                                               const store::Iteration& iteration,
                                               const std::string& name);

}  // namespace plumb
