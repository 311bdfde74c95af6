#include "losses/bco.hpp"

#include "losses/ops.hpp"

namespace plumb {

at::Tensor bco_chosen(const at::Tensor& reward, const at::Tensor& delta) {
  return log1p_exp(delta - reward);
}

at::Tensor bco_rejected(const at::Tensor& reward, const at::Tensor& delta) {
  return log1p_exp(reward - delta);
}

PairTerms BcoLoss::pair_terms(const PreferenceBatch& batch) const {
  require_hard_labels(batch, "bco");
  const at::Tensor chosen = log_ratio(batch.chosen) * options_.beta;
  const at::Tensor rejected = log_ratio(batch.rejected) * options_.beta;
  const at::Tensor delta = (chosen.detach().mean() + rejected.detach().mean()) / 2;
  MetricList metrics;
  metrics.add_rewards(batch, chosen, rejected);
  metrics.add("bco/delta", delta, 1.0);
  return {.values = {bco_chosen(chosen, delta) + bco_rejected(rejected, delta)},
          .margin = chosen - rejected,
          .metrics = metrics.take()};
}

}  // namespace plumb
