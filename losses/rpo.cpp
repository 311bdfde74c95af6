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

std::vector<TermInfo> RpoLoss::terms() const {
  std::vector<TermInfo> infos = dpo_.terms();
  if (imitates()) {
    const double beta = options_.reduction == "sum" ? options_.beta : 1.0;
    infos.push_back({"sft", options_.eta * beta,
                     options_.reduction == "token_mean" ? Per::kChosenToken : Per::kPair});
  }
  return infos;
}

PairTerms RpoLoss::pair_terms(const PreferenceBatch& batch) const {
  PairTerms out = dpo_.pair_terms(batch);
  const at::Tensor nll = -response_sum(batch.chosen, batch.chosen.logps);
  MetricList metrics;
  if (imitates()) {
    const TermInfo info = terms().back();
    out.values.push_back(options_.reduction == "seq_mean" ? nll / response_lengths(batch.chosen)
                                                          : nll);
    metrics.add("rpo/sft_term", out.values.back() * info.weight,
                static_cast<double>(units(info.per, batch)));
  }
  metrics.add("rpo/nll_tokmean", nll, static_cast<double>(batch.chosen.offsets.back()));
  for (Metric& metric : metrics.take()) out.metrics.push_back(std::move(metric));
  return out;
}

}  // namespace plumb
