#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "rewards/context.hpp"
#include "rewards/reward.hpp"

namespace plumb {

/// One row of the table of reward modules; `info.name` is also the option section.
struct RewardEntry {
  RewardInfo info;
  std::vector<Option> options;
  std::function<std::unique_ptr<RewardModule>(const OptionValues&, RewardContext&)> make;
};

/// All reward modules, by name.
const std::vector<RewardEntry>& reward_modules();

/// Throws UsageError for an unknown name, with the nearest one.
const RewardEntry& find_reward(const std::string& name);

/// Throws UsageError for an unknown name (with the nearest one) or bad options, DataError for a
/// model that cannot be loaded. Models come from the context, which must outlive the call only.
std::unique_ptr<RewardModule> make_reward(const std::string& name, const OptionValues& values,
                                          RewardContext& context);

/// Options of all modules.
std::vector<Option> reward_options();

}  // namespace plumb
