#include "rewards/length.hpp"

#include "core/strings.hpp"
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
  std::vector<Score> scores(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!is_valid_utf8(samples[i].response)) {
      scores[i].error = "response is not valid UTF-8";
      continue;
    }
    const std::size_t words = wordpunct(samples[i].response).size();
    scores[i].value = length_incentive(words, options_.target_words, options_.cap);
    scores[i].raw = length_incentive(words, options_.target_words, 0);
    scores[i].components = {{"words", static_cast<double>(words)}};
  }
  return scores;
}

}  // namespace plumb
