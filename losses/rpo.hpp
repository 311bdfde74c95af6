#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "losses/dpo.hpp"

namespace plumb {

struct RpoOptions {
  double beta = 0.1;
  double eta = 0.005;
  std::string reduction = "sum";
  std::string baseline = "chosen";
  std::string loss_type = "sigmoid";
  double label_smoothing = 0.0;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
    field("eta", self.eta, Range{0.0, 1e3}, "weight of the imitation; below 1e-6: none");
    field("reduction", self.reduction, Choices{{"sum", "seq_mean", "token_mean"}},
          "sum: eta beta times the summed NLL; seq_mean, token_mean: eta times its mean, without "
          "beta");
    field("baseline", self.baseline, Choices{{"chosen", "gold"}},
          "answers to imitate: the chosen ones, or the reference answers of the prompts (their own "
          "or "
          "those of data.references; nothing for a prompt without)");
    field("loss_type", self.loss_type, Choices{rpo_loss_types()}, "preference part");
    field("label_smoothing", self.label_smoothing, Range{0.0, 0.5},
          "share of flipped labels (cdpo, robust, exo_pair)");
  }
  static std::vector<std::string> rpo_loss_types();
};

/// Regularized Preference Optimization (arXiv:2405.16436): DPO plus imitation of the chosen
/// response, which keeps its likelihood from falling.
///
///   sum         L = L_DPO - eta beta S_w          official code; per pair
///   seq_mean    L = L_DPO + eta (-S_w / n_w)      official second variant; per pair
///   token_mean  L = L_DPO + eta mean over all imitated tokens of the step of -log p
///
/// The paper allows any baseline policy: with baseline = gold, S and n are those of the prompt's
/// reference answer. eta = 0 is DPO, bit for bit.
class RpoLoss final : public PairwiseLoss {
 public:
  using Options = RpoOptions;
  static constexpr std::string_view
      kName = "rpo",
      kPaper = "2405.16436",
      kSummary = "Regularized PO: DPO plus imitation of chosen or gold answers";

  explicit RpoLoss(Options options);
  Needs needs() const override;
  std::vector<TermInfo> terms() const override;
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  bool imitates() const;
  bool imitates_gold() const { return options_.baseline == "gold"; }

  Options options_;
  DpoLoss dpo_;
};

}  // namespace plumb
