#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rewards/context.hpp"
#include "rewards/reward.hpp"
#include "store/runs.hpp"

namespace plumb {

class RunContext;

/// The reward modules of a run. A module is made once; one that asks for a model of the run by name
/// (run_model_names()) is made again when an iteration brings other weights under that name. Its
/// row in the store holds the hashes of the weights, so scores of different policies belong to
/// different modules, and what a name means depends on the iteration alone: a resumed run finds the
/// same rows.
class RunRewards {
 public:
  struct Module {
    std::unique_ptr<RewardModule> module;
    std::int64_t id = 0;                                         // in the store
    std::vector<std::pair<std::string, std::int64_t>> models{};  // run models by name: checkpoints
  };

  explicit RunRewards(RunContext& run);
  /// The module as the iteration needs it. Throws as make_reward does.
  const Module& module(const std::string& name, const store::Iteration& iteration);
  /// Frees the modules that hold models of the run; the next use makes them again.
  void release_models();

 private:
  std::int64_t checkpoint_named(const std::string& name) const;
  std::shared_ptr<const LanguageModel> provide(const std::string& name_or_path);

  RunContext& run_;
  RewardContext context_;
  store::Iteration iteration_;   // whose models are asked for
  std::set<std::string> asked_;  // names the module in the making asked for
  std::map<std::string, Module> modules_;
};

}  // namespace plumb
