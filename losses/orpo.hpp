#pragma once
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct OrpoOptions {
  double beta = 0.1;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{0.0, 1e3},
          "weight of the odds-ratio term (lambda of the paper)");
  }
};

/// ORPO (arXiv:2403.07691), without a reference model: imitation of prompt and chosen response plus
/// an odds-ratio term.
///
///   u = S / n,  odds(u) = e^u / (1 - e^u),  o = log odds(u_w) - log odds(u_l)
///   L = NLL per token of prompt and chosen response + beta log(1 + e^-o)
class OrpoLoss final : public PairwiseLoss {
 public:
  using Options = OrpoOptions;
  static constexpr std::string_view kName = "orpo", kPaper = "2403.07691",
                                    kSummary = "imitation plus odds ratio, no reference model";

  explicit OrpoLoss(Options options) : options_(options) {}
  Needs needs() const override { return {.prompt_nll = true}; }
  std::vector<TermInfo> terms() const override {
    return {{"nll", 1.0, Per::kSequenceToken}, {"odds_ratio", options_.beta, Per::kPair}};
  }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  Options options_;
};

}  // namespace plumb
