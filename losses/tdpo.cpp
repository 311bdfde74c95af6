#include "losses/tdpo.hpp"

#include "losses/ops.hpp"

namespace plumb {

PairTerms TdpoLoss::pair_terms(const PreferenceBatch& batch) const {
  const at::Tensor a = log_ratio(batch.chosen), b = log_ratio(batch.rejected);
  const at::Tensor chosen_kl = response_sum(batch.chosen, batch.chosen.kl);
  const at::Tensor rejected_kl = response_sum(batch.rejected, batch.rejected.kl);
  const at::Tensor difference = options_.if_tdpo2
                                    ? (rejected_kl - chosen_kl.detach()) * options_.alpha
                                    : rejected_kl - chosen_kl;
  const at::Tensor z = (a - b - difference) * options_.beta;
  const auto pairs = static_cast<double>(batch.pairs());
  MetricList metrics;
  metrics.add_rewards(batch, (a + chosen_kl) * options_.beta, (b + rejected_kl) * options_.beta);
  metrics.add("kl/chosen", chosen_kl, pairs);
  metrics.add("kl/rejected", rejected_kl, pairs);
  return {.values = {soft_logistic(z, smoothed_labels(batch, 0.0))},
          .margin = z,
          .metrics = metrics.take()};
}

}  // namespace plumb
