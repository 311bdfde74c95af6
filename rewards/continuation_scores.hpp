#pragma once
#include <functional>
#include <span>
#include <vector>

#include "core/error.hpp"
#include "rewards/language_model.hpp"
#include "rewards/reward.hpp"

namespace plumb {

/// Samples made into tokens for a language model: those that could be, and the errors of the
/// others.
struct Prepared {
  std::vector<Continuation> continuations;
  std::vector<std::size_t> sample_of;  // sample of each continuation
  std::vector<Score> scores;           // one a sample, with its error where there is one
};

/// Calls `make` for every sample; a DataError becomes the sample's error text.
Prepared prepare_continuations(std::span<const RewardSample> samples,
                               const std::function<Continuation(const RewardSample&)>& make);

/// Sets the label `tokens`, and the per-token values if the tokens are those that the policy
/// sampled.
void set_token_rewards(Score& score, const Continuation& continuation, std::vector<float> values);

}  // namespace plumb
