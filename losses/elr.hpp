#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct ElrOptions {
  double lambda = 1.0;
  double beta = 0.7;
  std::int64_t warmup_visits = 1;
  bool bias_correction = true;
  static void describe(auto& self, auto&& field) {
    field("lambda", self.lambda, Range{0.0, 1e3}, "strength of the regulariser");
    field("beta", self.beta, Range{0.0, 0.999999}, "memory of a pair's running target");
    field("warmup_visits", self.warmup_visits, Range{0, 1e9},
          "first visits of a pair that only set its target");
    field("bias_correction", self.bias_correction, "divide the target by 1 - beta^visits");
  }
};

/// Early-learning regularisation (arXiv:2007.00151) for noisy preference labels, on the margin z of
/// the base loss:
///
///   P = (sigmoid(z), sigmoid(-z)), held within 1e-4 and 1 - 1e-4
///   t <- beta t + (1 - beta) P at every visit of the pair, no gradient, t = (0, 0) at first
///   L = base + lambda log(1 - <t, P>)
///
/// Once a pair's running target says that its label is wrong, the pull of the base loss is
/// reversed. A pair's history is (t_0, t_1, visits) with t as above, before bias correction. Needs
/// at least two visits of each pair.
class ElrModifier final : public PairwiseLoss {
 public:
  using Options = ElrOptions;
  static constexpr std::string_view kName = "elr", kPaper = "2007.00151",
                                    kSummary = "trusts what it learnt early about noisy labels";

  ElrModifier(std::unique_ptr<PairwiseLoss> base, Options options)
      : base_(std::move(base)), options_(options) {}
  Needs needs() const override;
  std::vector<TermInfo> terms() const override;
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  std::unique_ptr<PairwiseLoss> base_;
  Options options_;
};

}  // namespace plumb
