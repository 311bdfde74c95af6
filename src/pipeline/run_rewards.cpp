#include "pipeline/run_rewards.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "pipeline/model_setup.hpp"
#include "pipeline/run_context.hpp"
#include "pipeline/version.hpp"
#include "rewards/registry.hpp"
#include "store/rewards.hpp"

namespace plumb {
namespace fs = std::filesystem;

RunRewards::RunRewards(RunContext& run)
    : run_(run),
      context_(run.config.sampling.max_new_tokens, resolve_model, run.precision(),
               choose_device(run.config.run.device)) {
  context_.share([this](const std::string& name) { return provide(name); });
}

/// `previous` is the policy one training earlier: before the second iteration that is the base
/// model, which without a supervised stage is the initial policy itself.
std::int64_t RunRewards::checkpoint_named(const std::string& name) const {
  if (name == "policy") return iteration_.policy_checkpoint_id.value();
  if (name == "reference")
    return iteration_.reference_checkpoint_id.value_or(run_.initial_checkpoint());
  if (name == "base" || (name == "previous" && iteration_.index <= 1))
    return run_.base_checkpoint();
  if (name == "previous") {
    const std::optional<store::Iteration> before =
        store::find_iteration(run_.db, run_.run.id, iteration_.index - 1);
    expects(before && before->policy_checkpoint_id, "the iteration before");
    return *before->policy_checkpoint_id;
  }
  return run_.initial_checkpoint();
}

std::shared_ptr<const LanguageModel> RunRewards::provide(const std::string& name_or_path) {
  const auto& names = run_model_names();
  if (std::find(names.begin(), names.end(), name_or_path) != names.end()) {
    asked_.insert(name_or_path);
    return run_.language_model(checkpoint_named(name_or_path));
  }
  return run_.base_model_at(name_or_path);
}

const RunRewards::Module& RunRewards::module(const std::string& name,
                                             const store::Iteration& iteration) {
  iteration_ = iteration;
  const auto known = modules_.find(name);
  std::vector<std::shared_ptr<const Decoder>> keep;  // while the old module makes room for the new
  if (known != modules_.end()) {
    const auto& models = known->second.models;
    const auto same = [&](const auto& bound) {
      return checkpoint_named(bound.first) == bound.second;
    };
    if (std::all_of(models.begin(), models.end(), same)) return known->second;
    for (const auto& bound : models)
      keep.push_back(run_.models().loaded(checkpoint_named(bound.first)));
    modules_.erase(known);
  }
  asked_.clear();
  Module made;
  made.module = make_reward(name, run_.config.values, context_);
  for (const std::string& asked : asked_) made.models.emplace_back(asked, checkpoint_named(asked));
  const RewardInfo info = made.module->info();
  nlohmann::json options = section_json(run_.config.values, name);
  options["content_hash"] = made.module->content_hash();
  options["unit"] = info.unit;
  made.id = store::reward_module(run_.db, {info.name, info.name, kVersion, options.dump()});
  return modules_.emplace(name, std::move(made)).first->second;
}

void RunRewards::release_models() {
  std::erase_if(modules_, [](const auto& entry) { return !entry.second.models.empty(); });
}

}  // namespace plumb
