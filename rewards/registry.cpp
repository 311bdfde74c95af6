#include "rewards/registry.hpp"

#include "core/error.hpp"
#include "core/strings.hpp"
#include "rewards/cream.hpp"
#include "rewards/genarm.hpp"
#include "rewards/length.hpp"
#include "rewards/loops.hpp"
#include "rewards/r3.hpp"
#include "rewards/remote.hpp"
#include "rewards/repetition.hpp"
#include "rewards/treg.hpp"

namespace plumb {
namespace {

template <class Module>
RewardEntry entry() {
  const RewardInfo info = Module::about();
  return {info, declared<typename Module::Options>(info.name),
          [name = info.name](const OptionValues& values,
                             RewardContext& context) -> std::unique_ptr<RewardModule> {
            return Module::make(values.read<typename Module::Options>(name), context);
          }};
}

}  // namespace

const std::vector<RewardEntry>& reward_modules() {
  static const std::vector<RewardEntry> entries{
      entry<CreamReward>(), entry<GenarmReward>(), entry<LengthReward>(),     entry<LoopsReward>(),
      entry<R3Reward>(),    entry<RemoteReward>(), entry<RepetitionReward>(), entry<TregReward>(),
  };
  return entries;
}

const RewardEntry& find_reward(const std::string& name) {
  std::vector<std::string> names;
  for (const RewardEntry& entry : reward_modules()) {
    if (entry.info.name == name) return entry;
    names.push_back(entry.info.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw UsageError(cat("reward '", name, "': unknown; known rewards: ", join(names, ", "),
                       nearest.empty() ? "" : cat(" (did you mean ", nearest, "?)")));
}

std::unique_ptr<RewardModule> make_reward(const std::string& name, const OptionValues& values,
                                          RewardContext& context) {
  return find_reward(name).make(values, context);
}

std::vector<Option> reward_options() {
  std::vector<Option> options;
  for (const RewardEntry& entry : reward_modules()) {
    options.insert(options.end(), entry.options.begin(), entry.options.end());
  }
  return options;
}

}  // namespace plumb
