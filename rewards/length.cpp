#include "rewards/length.hpp"

#include "rewards/response_text.hpp"
#include "rewards/score_each.hpp"
#include "rewards/text_statistics.hpp"
#include "text/words.hpp"

namespace plumb {

RewardInfo LengthReward::about() {
  return {"length", "ratio", "arXiv 2402.03469 (LI)", "words of the response / target_words"};
}

std::unique_ptr<LengthReward> LengthReward::make(const Options& options, RewardContext&) {
  return std::make_unique<LengthReward>(options);
}

std::vector<Score> LengthReward::score(std::span<const RewardSample> samples) const {
  return score_each(samples, [&](const RewardSample& sample) {
    const std::size_t words = wordpunct(readable_response(sample.response)).size();
    Score score;
    score.value = length_incentive(words, options_.target_words, options_.cap);
    score.raw = length_incentive(words, options_.target_words, 0);
    score.components = {{"words", static_cast<double>(words)}};
    return score;
  });
}

}  // namespace plumb
