#pragma once
#include <memory>

#include "core/options.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

struct RepetitionOptions {
  int ngram = 3;
  static void describe(auto& self, auto&& field) {
    field("ngram", self.ngram, Range{1, 16}, "words of an n-gram");
  }
};

/// Repetition penalty, the RP factor of R^3 (arXiv 2402.03469): value = distinct / all n-grams of
/// the response, in (0, 1]; 1 for a response shorter than an n-gram.
class RepetitionReward final : public RewardModule {
 public:
  using Options = RepetitionOptions;
  static RewardInfo about();
  static std::unique_ptr<RepetitionReward> make(const Options& options, RewardContext& context);

  explicit RepetitionReward(Options options) : options_(options) {}
  RewardInfo info() const override { return about(); }
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  Options options_;
};

}  // namespace plumb
