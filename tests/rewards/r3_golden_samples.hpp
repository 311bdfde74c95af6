#pragma once
#include <nlohmann/json.hpp>
#include <vector>

#include "rewards/reward.hpp"

namespace plumb::test {

/// The items of r3.json as samples.
inline std::vector<RewardSample> golden_samples(const nlohmann::json& golden) {
  std::vector<RewardSample> samples;
  for (const auto& item : golden["items"]) {
    RewardSample& sample = samples.emplace_back();
    sample.messages = {{"user", item["instruction"]}};
    sample.response = item["response"];
    sample.reference = item["output"].get<std::string>();
    sample.kind = item["qtype"].get<std::string>();
  }
  return samples;
}

}  // namespace plumb::test
