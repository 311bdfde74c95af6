#pragma once
#include <string>
#include <string_view>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct RapoOptions {
  double beta = 0.2;
  double reward_scale = 1.0;
  std::string distance = "bwd_kl";
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
    field("reward_scale", self.reward_scale, Range{-1e3, 1e3}, "factor on the stored reward gap");
    field("distance", self.distance, Choices{{"bwd_kl", "fwd_kl", "sq"}},
          "between the policy's margin and the reward gap");
  }
};

/// Reward-aware preference optimisation (arXiv:2502.00203; called RPO there): the policy's margin z
/// = beta (a - b) is drawn to the gap g of stored rewards instead of being pushed without end.
///
///   p* = sigmoid(reward_scale (g_w - g_l)),  p = sigmoid(z)
///   bwd_kl  KL(p* || p)        fwd_kl  KL(p || p*)        sq  (z - reward_scale (g_w - g_l))^2
///
/// Soft labels do not apply: the stored rewards play their part.
class RapoLoss final : public PairwiseLoss {
 public:
  using Options = RapoOptions;
  static constexpr std::string_view
      kName = "rapo",
      kPaper = "2502.00203",
      kSummary = "Reward-aware PO (called RPO too): draws the margin to the gap of stored rewards";

  explicit RapoLoss(Options options) : options_(std::move(options)) {}
  Needs needs() const override { return {.reference = true, .rewards = true}; }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  Options options_;
};

}  // namespace plumb
