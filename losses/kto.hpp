#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct KtoOptions {
  double beta = 0.1;
  std::string loss_type = "kto";
  double desirable_weight = 1.0;
  double undesirable_weight = 1.0;
  bool baseline_gradient = false;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
    field("loss_type", self.loss_type, Choices{{"kto", "apo_zero_unpaired"}},
          "apo_zero_unpaired takes 0 as baseline");
    field("desirable_weight", self.desirable_weight, Range{0.0, 1e3}, "weight of chosen responses");
    field("undesirable_weight", self.undesirable_weight, Range{0.0, 1e3},
          "weight of rejected responses");
    field("baseline_gradient", self.baseline_gradient,
          "let the gradient flow through the baselines, as TRL 0.8 did");
  }
};

/// Loss of responses that gain `gain` nats over the baseline: 1 - sigmoid(beta gain). @return shape
/// of gain
at::Tensor kto_value(const at::Tensor& gain, double beta);

/// KTO (arXiv:2402.01306) on pairs, each response a term of its own:
///
///   K_w = max(0, mean a), K_l = max(0, mean b) over the pairs of the step, no gradient
///   L = 1 - sigmoid(beta (a - K_l)) for chosen,  1 - sigmoid(beta (K_w - b)) for rejected
///   responses
class KtoLoss final : public PairwiseLoss {
 public:
  using Options = KtoOptions;
  static constexpr std::string_view kName = "kto", kPaper = "2402.01306",
                                    kSummary = "gain or loss of each response against a baseline";

  explicit KtoLoss(Options options) : options_(std::move(options)) {}
  Needs needs() const override {
    return {.reference = true, .whole_step = options_.loss_type == "kto"};
  }
  std::vector<TermInfo> terms() const override { return {{"kto", 1.0, Per::kResponse}}; }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  at::Tensor baseline(const at::Tensor& ratios) const;

  Options options_;
};

}  // namespace plumb
