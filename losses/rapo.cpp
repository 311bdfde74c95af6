#include "losses/rapo.hpp"

#include "losses/ops.hpp"

namespace plumb {
namespace {

/// KL between coins that fall heads with the chance sigmoid(x) and sigmoid(y). [B]
at::Tensor coin_kl(const at::Tensor& x, const at::Tensor& y) {
  return x.sigmoid() * (log1p_exp(-y) - log1p_exp(-x)) +
         (-x).sigmoid() * (log1p_exp(y) - log1p_exp(x));
}

}  // namespace

PairTerms RapoLoss::pair_terms(const PreferenceBatch& batch) const {
  require_hard_labels(batch, "rapo");
  const at::Tensor chosen = log_ratio(batch.chosen) * options_.beta;
  const at::Tensor rejected = log_ratio(batch.rejected) * options_.beta;
  const at::Tensor gap =
      (batch.chosen.reward - batch.rejected.reward).to(at::kDouble) * options_.reward_scale;
  PairTerms out;
  out.margin = chosen - rejected;
  out.values.push_back(options_.distance == "bwd_kl"   ? coin_kl(gap, out.margin)
                       : options_.distance == "fwd_kl" ? coin_kl(out.margin, gap)
                                                       : (out.margin - gap).square());
  MetricList metrics;
  metrics.add_rewards(batch, chosen, rejected);
  metrics.add("rapo/target_margin", gap, static_cast<double>(batch.pairs()));
  out.metrics = metrics.take();
  return out;
}

}  // namespace plumb
