#include "losses/simpo.hpp"

#include "core/error.hpp"
#include "losses/ops.hpp"

namespace plumb {

SimpoLoss::SimpoLoss(Options options) : options_(std::move(options)) {
  if (options_.loss_type == "hinge" && options_.label_smoothing > 0.0) {
    throw UsageError("simpo.label_smoothing: has no effect on the hinge; set it to 0");
  }
}

std::vector<TermInfo> SimpoLoss::terms() const {
  std::vector<TermInfo> infos{{"simpo", 1.0, Per::kPair}};
  if (options_.sft_weight > 0.0) infos.push_back({"sft", options_.sft_weight, Per::kChosenToken});
  return infos;
}

PairTerms SimpoLoss::pair_terms(const PreferenceBatch& batch) const {
  const auto reward = [&](const ResponseSide& side) {
    const at::Tensor mean = response_sum(side, side.logps) / response_lengths(side);
    const double bend = options_.alphapo_alpha;
    return (bend == 0.0 ? mean : -(mean * -bend).expm1() / bend) * options_.beta;
  };
  const at::Tensor chosen = reward(batch.chosen), rejected = reward(batch.rejected);
  const at::Tensor target = smoothed_labels(batch, options_.label_smoothing);
  PairTerms out;
  out.margin = chosen - rejected;
  const at::Tensor z = out.margin - options_.simpo_gamma;
  out.values.push_back(options_.loss_type == "sigmoid"
                           ? soft_logistic(z, target)
                           : target * (1.0 - z).relu() + (1.0 - target) * (1.0 + z).relu());
  MetricList metrics;
  metrics.add_rewards(batch, chosen, rejected);
  if (options_.sft_weight > 0.0) {
    out.values.push_back(-response_sum(batch.chosen, batch.chosen.logps));
    metrics.add("nll_loss", out.values.back(), static_cast<double>(batch.chosen.offsets.back()));
  }
  out.metrics = metrics.take();
  return out;
}

}  // namespace plumb
