#include "losses/sft.hpp"

#include "losses/ops.hpp"

namespace plumb {

PairTerms SftLoss::pair_terms(const PreferenceBatch& batch) const {
  const at::Tensor chosen = response_sum(batch.chosen, batch.chosen.logps);
  const at::Tensor rejected = response_sum(batch.rejected, batch.rejected.logps);
  MetricList metrics;
  metrics.add_rewards(batch, chosen, rejected);
  metrics.add("nll_loss", -chosen, static_cast<double>(batch.chosen.offsets.back()));
  return {.values = {-chosen}, .margin = chosen - rejected, .metrics = metrics.take()};
}

}  // namespace plumb
