#include "pipeline/scored_groups.hpp"

#include <set>

#include "core/hash.hpp"
#include "pipeline/degraded_rollout.hpp"
#include "store/rewards.hpp"

namespace plumb {

std::vector<PromptGroup> group_by_prompt(std::span<const store::SampleRow> samples) {
  std::map<std::int64_t, PromptGroup> groups;
  for (const store::SampleRow& sample : samples) {
    PromptGroup& group = groups[sample.prompt_id];
    group.prompt_id = sample.prompt_id;
    group.responses.push_back(&sample);
  }
  std::vector<PromptGroup> out;
  for (auto& [prompt_id, group] : groups) out.push_back(std::move(group));
  return out;
}

PromptGroup distinct_texts(const PromptGroup& group) {
  PromptGroup out{group.prompt_id, {}};
  std::set<std::int64_t> seen;
  for (const store::SampleRow* sample : group.responses) {
    if (seen.insert(text_hash63(sample->text)).second) out.responses.push_back(sample);
  }
  return out;
}

std::vector<std::optional<double>> ResponseValues::of(const PromptGroup& group) const {
  std::vector<std::optional<double>> out;
  for (const store::SampleRow* sample : group.responses) {
    const auto value = of_sample.find(sample->id);
    out.push_back(value == of_sample.end() ? std::nullopt : std::optional(value->second));
  }
  return out;
}

std::optional<ModuleScores> find_module_scores(const RunContext& context,
                                               const store::Iteration& iteration,
                                               const std::string& name) {
  const auto module_id = store::find_reward_module(context.db, iteration.id, name);
  if (!module_id) return std::nullopt;
  ModuleScores out{name, *module_id, {}};
  for (const char* suite : {"train", kDegraded}) {
    for (const auto& [sample_id, score] :
         store::scores(context.db, iteration.id, suite, *module_id))
      out.scores.of_sample[sample_id] = score;
  }
  return out;
}

}  // namespace plumb
