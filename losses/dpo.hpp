#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "losses/dpo_types.hpp"
#include "losses/f_divergence.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

/// Names and defaults follow TRL's DPOConfig.
struct DpoOptions {
  double beta = 0.1;
  std::vector<std::string> loss_type{"sigmoid"};
  std::vector<double> loss_weights{};
  double label_smoothing = 0.0;
  std::string f_divergence_type = "reverse_kl";
  double f_alpha_divergence_coef = 0.5;
  bool reference_free = false;
  double ld_alpha = 1.0;
  bool use_weighting = false;
  double dpo_lambda = 1.0;
  std::string dpo_lambda_strategy = "fixed";
  double dpo_lambda_min = 0.5;
  double dpo_lambda_max = 1.0;
  double discopop_tau = 0.05;

  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
    field("loss_type", self.loss_type, Choices{dpo_type_names()},
          "one or more loss types, added up");
    field("loss_weights", self.loss_weights, "weight of each loss type; empty: 1 each");
    field("label_smoothing", self.label_smoothing, Range{0.0, 0.5},
          "share of flipped labels (cdpo, robust, exo_pair, aot*)");
    field("f_divergence_type", self.f_divergence_type, Choices{f_divergence_names()},
          "divergence to the reference that shapes the log-ratios");
    field("f_alpha_divergence_coef", self.f_alpha_divergence_coef, Range{-10.0, 10.0},
          "coefficient of alpha_divergence");
    field("reference_free", self.reference_free,
          "take the reference as uniform: no reference log-probs");
    field("ld_alpha", self.ld_alpha, Range{0.0, 1.0},
          "LD-DPO: weight of the tokens beyond the shorter response's length; 1 turns it off");
    field("use_weighting", self.use_weighting,
          "WPO: weight pairs by how likely the policy is to say them");
    field("dpo_lambda", self.dpo_lambda, Range{0.0, 1.0},
          "DPO-Shift: factor on the rejected log-ratio; 1 turns it off");
    field("dpo_lambda_strategy", self.dpo_lambda_strategy,
          Choices{{"fixed", "increase_linear", "decrease_linear"}},
          "DPO-Shift: dpo_lambda, or a factor that moves between dpo_lambda_min and dpo_lambda_max "
          "over the steps of an iteration");
    field("dpo_lambda_min", self.dpo_lambda_min, Range{0.0, 1.0}, "lower end of the factor");
    field("dpo_lambda_max", self.dpo_lambda_max, Range{0.0, 1.0}, "upper end of the factor");
    field("discopop_tau", self.discopop_tau, Range{1e-6, 1e3}, "temperature of discopop's blend");
  }
};

/// Direct Preference Optimization (arXiv:2305.18290) and its family; dpo_types.cpp holds one row
/// per loss type.
///
///   a = S_w - R_w,  b = S_l - R_l,  z = beta (f(a) - lambda f(b));  sigmoid: L = log(1 + e^-z)
///
/// Worth log 2 per pair while the policy equals the reference. With a soft label C the loss is C
/// L(w, l) + (1 - C) L(l, w), which is CREAM's loss (arXiv:2410.12735) for `sigmoid`. LD-DPO is
/// arXiv:2409.06411, WPO arXiv:2406.11827, DPO-Shift arXiv:2502.07599.
class DpoLoss : public PairwiseLoss {
 public:
  using Options = DpoOptions;
  static constexpr std::string_view kName = "dpo", kPaper = "2305.18290",
                                    kSummary =
                                        "logistic loss on the log-ratio margin, and its family";

  /// Throws UsageError, naming the options' section, if options contradict each other.
  explicit DpoLoss(Options options, const std::string& section = "dpo");
  Needs needs() const override;
  std::vector<TermInfo> terms() const override;
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  Options options_;
};

/// DPO-Shift's factor after a share of the training's steps. @param progress  in [0, 1]
double shift_lambda(const DpoOptions& options, double progress);

}  // namespace plumb
