#pragma once
#include <memory>

#include "core/options.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

struct LengthOptions {
  double target_words = 100;
  double cap = 0;
  static void describe(auto& self, auto&& field) {
    field("target_words", self.target_words, Range{1e-3, 1e9}, "words that are worth 1");
    field("cap", self.cap, Range{0, 1e9}, "largest value; 0 = no limit");
  }
};

/// Length incentive, the LI factor of R^3 (arXiv 2402.03469): value = words(response) /
/// target_words, at most `cap`. `raw` is the uncapped ratio.
class LengthReward final : public RewardModule {
 public:
  using Options = LengthOptions;
  static RewardInfo about();
  static std::unique_ptr<LengthReward> make(const Options& options, RewardContext& context);

  explicit LengthReward(Options options) : options_(options) {}
  RewardInfo info() const override { return about(); }
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  Options options_;
};

}  // namespace plumb
