#include "losses/genarm.hpp"

#include "core/error.hpp"
#include "losses/ops.hpp"

namespace plumb {

GenarmLoss::GenarmLoss(Options options) : options_(std::move(options)) {
  if (options_.loss_type == "hinge" && (options_.label_smoothing > 0.0 || options_.gamma != 0.0)) {
    throw UsageError(
        "genarm: gamma and label_smoothing have no effect on the hinge; set them to 0");
  }
}

PairTerms GenarmLoss::pair_terms(const PreferenceBatch& batch) const {
  const auto reward = [&](const ResponseSide& side) {
    const at::Tensor sum = response_sum(side, side.logps);
    return (options_.length_normalization ? sum / response_lengths(side) : sum) * options_.beta;
  };
  const at::Tensor chosen = reward(batch.chosen), rejected = reward(batch.rejected);
  const at::Tensor target = smoothed_labels(batch, options_.label_smoothing);
  PairTerms out;
  out.margin = chosen - rejected;
  out.values.push_back(options_.loss_type == "sigmoid"
                           ? soft_logistic(out.margin - options_.gamma, target)
                           : target * (1.0 - out.margin).relu() +
                                 (1.0 - target) * (1.0 + out.margin).relu());
  MetricList metrics;
  metrics.add_rewards(batch, chosen, rejected);
  out.metrics = metrics.take();
  return out;
}

}  // namespace plumb
