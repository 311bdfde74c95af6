#include "rewards/loops.hpp"

#include <algorithm>

#include "rewards/response_text.hpp"
#include "rewards/score_each.hpp"
#include "rewards/text_statistics.hpp"
#include "text/words.hpp"

namespace plumb {

RewardInfo LoopsReward::about() {
  return {"loops", "ratio", "arXiv 2206.02369 (DITTO)",
          "share of the response that does not repeat itself in a row"};
}

std::unique_ptr<LoopsReward> LoopsReward::make(const Options& options, RewardContext&) {
  return std::make_unique<LoopsReward>(options);
}

Loop longest_loop(std::span<const std::string_view> words, std::size_t max_period,
                  std::size_t min_copies) {
  NgramTable table(1);
  const std::vector<std::uint32_t> ids = table.number(words);
  Loop best;
  const std::size_t longest = std::min(max_period, ids.size() / min_copies);
  for (std::size_t period = 1; period <= longest; ++period) {
    std::size_t matched = 0;  // words in a row that equal the one a period before
    for (std::size_t i = period; i < ids.size(); ++i) {
      matched = ids[i] == ids[i - period] ? matched + 1 : 0;
      const Loop loop{period, matched + period};
      if (loop.copies() >= min_copies && loop.repeated() > best.repeated()) best = loop;
    }
  }
  return best;
}

std::vector<Score> LoopsReward::score(std::span<const RewardSample> samples) const {
  return score_each(samples, [&](const RewardSample& sample) {
    const auto words = wordpunct(readable_response(sample.response));
    const Loop loop = longest_loop(words, static_cast<std::size_t>(options_.max_period),
                                   static_cast<std::size_t>(options_.min_copies));
    const auto repeated = static_cast<double>(loop.repeated());
    Score score;
    score.value = score.raw =
        words.empty() ? 1.0 : 1.0 - repeated / static_cast<double>(words.size());
    score.components = {{"loop_period", static_cast<double>(loop.period)},
                        {"loop_copies", static_cast<double>(loop.copies())},
                        {"loop_words", static_cast<double>(loop.words)},
                        {"words", static_cast<double>(words.size())}};
    for (const std::size_t n : {1, 2, 3, 4}) {
      score.components.emplace_back(cat("rep_", n), 1.0 - count_ngrams(words, n).ratio());
    }
    return score;
  });
}

}  // namespace plumb
