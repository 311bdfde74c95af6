#pragma once
#include <span>
#include <vector>

#include "core/error.hpp"
#include "rewards/reward.hpp"

namespace plumb {

/// Scores samples that do not depend on each other. A DataError of one becomes its error text.
std::vector<Score> score_each(std::span<const RewardSample> samples, auto&& score_one) {
  std::vector<Score> scores;
  scores.reserve(samples.size());
  for (const RewardSample& sample : samples) {
    try {
      scores.push_back(score_one(sample));
    } catch (const DataError& error) {
      scores.emplace_back().error = error.what();
    }
  }
  return scores;
}

}  // namespace plumb
