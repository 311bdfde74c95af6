#include "rewards/continuation_scores.hpp"

#include <utility>

namespace plumb {

Prepared prepare_continuations(std::span<const RewardSample> samples,
                               const std::function<Continuation(const RewardSample&)>& make) {
  Prepared prepared;
  prepared.scores.resize(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    try {
      prepared.continuations.push_back(make(samples[i]));
      prepared.sample_of.push_back(i);
    } catch (const DataError& error) {
      prepared.scores[i].error = error.what();
    }
  }
  return prepared;
}

void set_token_rewards(Score& score, const Continuation& continuation, std::vector<float> values) {
  score.labels.emplace_back("tokens", continuation.sampled_ids ? "sampled" : "text");
  if (continuation.sampled_ids) score.per_token = std::move(values);
}

}  // namespace plumb
