#pragma once
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct TdpoOptions {
  double beta = 0.1;
  double alpha = 0.5;
  bool if_tdpo2 = true;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
    field("alpha", self.alpha, Range{0.0, 1e3}, "weight of the KL difference (TDPO2)");
    field("if_tdpo2", self.if_tdpo2, "TDPO2; false: TDPO1");
  }
};

/// Token-level DPO (arXiv:2404.11999). K = KL(reference || policy) summed over a response's tokens.
///
///   TDPO1  z = beta ((a - b) - (K_l - K_w))
///   TDPO2  z = beta ((a - b) - alpha (K_l - stop_gradient(K_w)))
class TdpoLoss final : public PairwiseLoss {
 public:
  using Options = TdpoOptions;
  static constexpr std::string_view kName = "tdpo", kPaper = "2404.11999",
                                    kSummary =
                                        "DPO with the KL difference of the responses in the margin";

  explicit TdpoLoss(Options options) : options_(options) {}
  Needs needs() const override { return {.reference = true, .kl = true}; }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  Options options_;
};

}  // namespace plumb
