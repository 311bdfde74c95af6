#pragma once
#include "losses/dpo.hpp"

/// Members of the DPO family that are known by a name of their own: DpoLoss with a fixed loss type.
namespace plumb {

struct CdpoOptions {
  double beta = 0.1;
  double label_smoothing = 0.1;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
    field("label_smoothing", self.label_smoothing, Range{0.0, 0.5}, "share of flipped labels");
  }
};

/// Conservative DPO: L = (1 - e) softplus(-z) + e softplus(z), lowest at z = log((1 - e) / e).
class CdpoLoss final : public DpoLoss {
 public:
  using Options = CdpoOptions;
  static constexpr std::string_view kName = "cdpo", kPaper = "2305.18290",
                                    kSummary = "DPO with smoothed labels";
  explicit CdpoLoss(Options o)
      : DpoLoss({.beta = o.beta, .loss_type = {"cdpo"}, .label_smoothing = o.label_smoothing},
                "cdpo") {}
};

struct IpoOptions {
  double beta = 0.1;
  bool length_normalization = true;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "the target margin is 1 / (2 beta) nats");
    field("length_normalization", self.length_normalization,
          "divide log-ratios by response length, as TRL does");
  }
};

/// Identity preference optimisation: L = (m - 1 / (2 beta))^2 with m = a/n_w - b/n_l, or a - b.
class IpoLoss final : public DpoLoss {
 public:
  using Options = IpoOptions;
  static constexpr std::string_view kName = "ipo", kPaper = "2310.12036",
                                    kSummary = "squared distance of the margin to a target";
  explicit IpoLoss(Options o)
      : DpoLoss({.beta = o.beta, .loss_type = {o.length_normalization ? "ipo" : "ipo_sum"}},
                "ipo") {}
};

}  // namespace plumb
