#pragma once
#include <memory>
#include <string_view>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct TregOptions {
  double alpha = 0.25;
  bool detach_weight = true;
  static void describe(auto& self, auto&& field) {
    field("alpha", self.alpha, Range{0.0, 1e3},
          "strength; below 2 no token's gradient changes its sign");
    field("detach_weight", self.detach_weight, "no gradient through the sequence weight");
  }
};

/// T-REG (arXiv:2412.02685): regularises a sequence loss by token rewards r_t in (-1/2, 1/2). With
/// the base loss's token coefficients c = dL/dlog p_t (for DPO: -beta w and +beta w with w =
/// sigmoid(-z)):
///
///   L_TREG = L + alpha (sum over chosen tokens of c r_t log p_t - sum over rejected tokens of c
///   r_t log p_t)
///
/// which is alpha w (Lreg(y_w) + Lreg(y_l)) with Lreg(y) = -beta sum_t r_t log p_t for DPO, and the
/// same divided by the response length for SimPO. With c held constant a chosen token's gradient is
/// c (1 + alpha r_t), a rejected one's c (1 - alpha r_t). The loss can fall below the base loss,
/// and below 0.
class TregModifier final : public PairwiseLoss {
 public:
  using Options = TregOptions;
  static constexpr std::string_view kName = "treg", kPaper = "2412.02685",
                                    kSummary = "re-weights tokens by token rewards";

  TregModifier(std::unique_ptr<PairwiseLoss> base, Options options)
      : base_(std::move(base)), options_(options) {}
  Needs needs() const override;
  std::vector<TermInfo> terms() const override { return base_->terms(); }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  std::unique_ptr<PairwiseLoss> base_;
  Options options_;
};

}  // namespace plumb
