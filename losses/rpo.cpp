#include "losses/rpo.hpp"

#include "losses/ops.hpp"

namespace plumb {

std::vector<std::string> RpoOptions::rpo_loss_types() {
  std::vector<std::string> names;
  for (const DpoType& type : dpo_types()) {
    if (!type.coupled && !type.imitates) names.emplace_back(type.name);
  }
  return names;
}

RpoLoss::RpoLoss(Options options)
    : options_(std::move(options)),
      dpo_({.beta = options_.beta,
            .loss_type = {options_.loss_type},
            .label_smoothing = options_.label_smoothing},
           "rpo") {}

bool RpoLoss::imitates() const { return options_.eta >= 1e-6; }

Needs RpoLoss::needs() const {
  Needs needs = dpo_.needs();
  needs.baseline = imitates() && imitates_gold();
  return needs;
}

std::vector<TermInfo> RpoLoss::terms() const {
  std::vector<TermInfo> infos = dpo_.terms();
  if (imitates()) {
    const double beta = options_.reduction == "sum" ? options_.beta : 1.0;
    const Per token = imitates_gold() ? Per::kBaselineToken : Per::kChosenToken;
    infos.push_back(
        {"sft", options_.eta * beta, options_.reduction == "token_mean" ? token : Per::kPair});
  }
  return infos;
}

PairTerms RpoLoss::pair_terms(const PreferenceBatch& batch) const {
  PairTerms out = dpo_.pair_terms(batch);
  MetricList metrics;
  if (imitates()) {
    const TermInfo info = terms().back();
    const ResponseSide& imitated = imitates_gold() ? batch.baseline : batch.chosen;
    const at::Tensor nll = -response_sum(imitated, imitated.logps);
    out.values.push_back(options_.reduction == "seq_mean" ? nll / response_lengths(imitated) : nll);
    metrics.add("rpo/sft_term", out.values.back() * info.weight,
                static_cast<double>(units(info.per, batch)));
    if (imitates_gold()) {
      metrics.add("rpo/gold_nll_tokmean", nll, static_cast<double>(imitated.offsets.back()));
      metrics.add("rpo/gold_share", nll != 0.0, static_cast<double>(batch.pairs()));
    }
  }
  metrics.add("rpo/nll_tokmean", -batch.chosen.logps,
              static_cast<double>(batch.chosen.offsets.back()));
  for (Metric& metric : metrics.take()) out.metrics.push_back(std::move(metric));
  return out;
}

}  // namespace plumb
