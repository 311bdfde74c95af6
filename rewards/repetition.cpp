#include "rewards/repetition.hpp"

#include "core/strings.hpp"
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
  std::vector<Score> scores(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!is_valid_utf8(samples[i].response)) {
      scores[i].error = "response is not valid UTF-8";
      continue;
    }
    const auto words = wordpunct(samples[i].response);
    const NgramCounts ngrams = count_ngrams(words, static_cast<std::size_t>(options_.ngram));
    scores[i].value = scores[i].raw = ngrams.ratio();
    scores[i].components = {{"ngrams", static_cast<double>(ngrams.total)},
                            {"unique_ngrams", static_cast<double>(ngrams.unique)},
                            {"distinct_1", count_ngrams(words, 1).ratio()},
                            {"distinct_2", count_ngrams(words, 2).ratio()}};
  }
  return scores;
}

}  // namespace plumb
