#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

/// Names follow TRL's CPOConfig and SimPO's own code.
struct SimpoOptions {
  double beta = 2.0;
  double simpo_gamma = 0.5;
  std::string loss_type = "sigmoid";
  double label_smoothing = 0.0;
  double alphapo_alpha = 0.0;
  double sft_weight = 0.0;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "scale of the mean log-probs (1/nats)");
    field("simpo_gamma", self.simpo_gamma, Range{-1e3, 1e3}, "target margin (not divided by beta)");
    field("loss_type", self.loss_type, Choices{{"sigmoid", "hinge"}}, "shape of the loss");
    field("label_smoothing", self.label_smoothing, Range{0.0, 0.5},
          "share of flipped labels (sigmoid)");
    field("alphapo_alpha", self.alphapo_alpha, Range{-10.0, 10.0},
          "AlphaPO's bend of the reward; 0 is SimPO");
    field("sft_weight", self.sft_weight, Range{0.0, 1e3}, "weight of the NLL of chosen tokens");
  }
};

/// SimPO (arXiv:2405.14734), without a reference model; with alphapo_alpha = A also AlphaPO
/// (arXiv:2501.03884).
///
///   u = S / n,  r(u) = u, or (1 - e^(-A u)) / A;  z = beta (r(u_w) - r(u_l)) - gamma;  L = log(1 +
///   e^-z)
class SimpoLoss final : public PairwiseLoss {
 public:
  using Options = SimpoOptions;
  static constexpr std::string_view kName = "simpo", kPaper = "2405.14734",
                                    kSummary = "margin of mean log-probs, no reference model";

  /// Throws UsageError if label_smoothing is asked of the hinge.
  explicit SimpoLoss(Options options);
  Needs needs() const override { return {}; }
  std::vector<TermInfo> terms() const override;
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  Options options_;
};

}  // namespace plumb
