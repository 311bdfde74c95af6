#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/options.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

struct LoopsOptions {
  int max_period = 256;
  int min_copies = 3;
  static void describe(auto& self, auto&& field) {
    field("max_period", self.max_period, Range{1, 1e5},
          "longest loop that is looked for, in words");
    field("min_copies", self.min_copies, Range{2, 1e5},
          "copies in a row, the first one included, that make a loop");
  }
};

/// A stretch of words that repeats itself: word[i] = word[i - period] from the second copy on.
struct Loop {
  std::size_t period = 0;  // words of one copy; 0 = no loop
  std::size_t words = 0;   // words of the stretch, the last copy may be cut
  std::size_t copies() const { return period == 0 ? 0 : words / period; }
  std::size_t repeated() const { return words - period; }  // words beyond the first copy
};

/// The loop that repeats the most words; of equals the one with the shortest period, then the
/// earliest.
Loop longest_loop(std::span<const std::string_view> words, std::size_t max_period,
                  std::size_t min_copies);

/// Structural loops, as decoding damps them in RPG and as DITTO (arXiv 2206.02369) trains against:
/// value = 1 - words beyond the first copy of the longest loop / words, in (0, 1]; 1 for a response
/// without a loop.
///
/// Where the repetition penalty of R^3 counts trigrams anywhere, so that a long answer on one
/// subject loses too, this sees only copies that follow each other, of any length up to max_period
/// words. Components: loop_period, loop_copies, loop_words, words, and rep_1 to rep_4 = 1 -
/// distinct / all n-grams.
class LoopsReward final : public RewardModule {
 public:
  using Options = LoopsOptions;
  static RewardInfo about();
  static std::unique_ptr<LoopsReward> make(const Options& options, RewardContext& context);

  explicit LoopsReward(Options options) : options_(options) {}
  RewardInfo info() const override { return about(); }
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  Options options_;
};

}  // namespace plumb
