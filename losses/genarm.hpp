#pragma once
#include <string>
#include <string_view>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct GenarmOptions {
  double beta = 0.1;
  double gamma = 0.0;
  std::string loss_type = "sigmoid";
  double label_smoothing = 0.0;
  bool length_normalization = false;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "scale of the reward (beta_r of the paper)");
    field("gamma", self.gamma, Range{-1e3, 1e3}, "target margin (sigmoid)");
    field("loss_type", self.loss_type, Choices{{"sigmoid", "hinge"}}, "shape of the loss");
    field("label_smoothing", self.label_smoothing, Range{0.0, 0.5},
          "share of flipped labels (sigmoid)");
    field("length_normalization", self.length_normalization, "divide summed log-probs by length");
  }
};

/// Bradley-Terry training of an autoregressive reward model (GenARM, arXiv:2410.08193): its reward
/// of a response is its own log-prob of it, without a reference.
///
///   z = beta (S_w - S_l) - gamma;  L = log(1 + e^-z), or max(0, 1 - beta (S_w - S_l))
class GenarmLoss final : public PairwiseLoss {
 public:
  using Options = GenarmOptions;
  static constexpr std::string_view kName = "genarm", kPaper = "2410.08193",
                                    kSummary = "trains an autoregressive reward model";

  /// Throws UsageError if gamma or label_smoothing is asked of the hinge.
  explicit GenarmLoss(Options options);
  Needs needs() const override { return {}; }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  Options options_;
};

}  // namespace plumb
