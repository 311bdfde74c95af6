#include "rewards/repetition.hpp"

#include "rewards/response_text.hpp"
#include "rewards/score_each.hpp"
#include "rewards/text_statistics.hpp"
#include "text/words.hpp"

namespace plumb {

RewardInfo RepetitionReward::about() {
  return {"repetition", "ratio", "arXiv 2402.03469 (RP)", "distinct / all n-grams of the response"};
}

std::unique_ptr<RepetitionReward> RepetitionReward::make(const Options& options, RewardContext&) {
  return std::make_unique<RepetitionReward>(options);
}

std::vector<Score> RepetitionReward::score(std::span<const RewardSample> samples) const {
  return score_each(samples, [&](const RewardSample& sample) {
    const auto words = wordpunct(readable_response(sample.response));
    const NgramCounts ngrams = count_ngrams(words, static_cast<std::size_t>(options_.ngram));
    Score score;
    score.value = score.raw = ngrams.ratio();
    score.components = {{"ngrams", static_cast<double>(ngrams.total)},
                        {"unique_ngrams", static_cast<double>(ngrams.unique)},
                        {"distinct_1", count_ngrams(words, 1).ratio()},
                        {"distinct_2", count_ngrams(words, 2).ratio()}};
    return score;
  });
}

}  // namespace plumb
