#include "losses/kto.hpp"

#include <ATen/ops/zeros.h>

#include "losses/ops.hpp"

namespace plumb {

at::Tensor kto_value(const at::Tensor& gain, double beta) { return (gain * -beta).sigmoid(); }

at::Tensor KtoLoss::baseline(const at::Tensor& ratios) const {
  if (options_.loss_type != "kto") return at::zeros({}, ratios.detach().options());
  const at::Tensor mean = ratios.mean().clamp_min(0.0);
  return options_.baseline_gradient ? mean : mean.detach();
}

PairTerms KtoLoss::pair_terms(const PreferenceBatch& batch) const {
  require_hard_labels(batch, "kto");
  const at::Tensor a = log_ratio(batch.chosen), b = log_ratio(batch.rejected);
  const at::Tensor chosen_kl = baseline(a), rejected_kl = baseline(b);
  const double beta = options_.beta;
  MetricList metrics;
  metrics.add_rewards(batch, a * beta, b * beta);
  if (needs().whole_step) {
    metrics.add("kto/baseline_chosen", rejected_kl, 1.0);
    metrics.add("kto/baseline_rejected", chosen_kl, 1.0);
  }
  return {.values = {kto_value(a - rejected_kl, beta) * options_.desirable_weight +
                     kto_value(chosen_kl - b, beta) * options_.undesirable_weight},
          .margin = (a - b) * beta,
          .metrics = metrics.take()};
}

}  // namespace plumb
