#pragma once
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct RrpoOptions {
  double beta = 0.1;
  double alpha = 0.01;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
    field("alpha", self.alpha, Range{0.0, 1e3},
          "weight of the KL summed over chosen tokens; 0 needs no live reference");
  }
};

/// Refined Regularized Preference Optimization (arXiv:2504.12083): ranks only the key spans in
/// which the two responses differ, and holds the whole chosen response near the reference.
///
///   u = beta (sum over span tokens of log(policy / reference), chosen minus rejected)
///   L = log(1 + e^-u) + alpha sum over chosen tokens of KL(reference || policy)
///
/// A pair without spans has u = 0: worth log 2, no ranking gradient; `rrpo/empty_diff` counts them.
class RrpoLoss final : public PairwiseLoss {
 public:
  using Options = RrpoOptions;
  static constexpr std::string_view
      kName = "rrpo",
      kPaper = "2504.12083",
      kSummary = "Refined Regularized PO: ranks key spans, token-wise KL on the chosen response";

  explicit RrpoLoss(Options options) : options_(options) {}
  Needs needs() const override {
    return {.reference = true, .kl = options_.alpha > 0.0, .spans = true};
  }
  std::vector<TermInfo> terms() const override;
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  Options options_;
};

}  // namespace plumb
