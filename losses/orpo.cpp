#include "losses/orpo.hpp"

#include <ATen/ops/where.h>

#include <numbers>

#include "losses/ops.hpp"

namespace plumb {
namespace {

/// log(1 - e^x) for x < 0, exact near 0 and far from it.
at::Tensor log1mexp(const at::Tensor& x) {
  const at::Tensor near = x.clamp_min(-std::numbers::ln2), far = x.clamp_max(-std::numbers::ln2);
  return at::where(x > -std::numbers::ln2, (-near.expm1()).log(), (-far.exp()).log1p());
}

/// Mean log-prob, held below 0: a response of probability 1 has no finite odds.
at::Tensor mean_logp(const ResponseSide& side) {
  return (response_sum(side, side.logps) / response_lengths(side)).clamp_max(-1e-12);
}

}  // namespace

PairTerms OrpoLoss::pair_terms(const PreferenceBatch& batch) const {
  const at::Tensor chosen = mean_logp(batch.chosen), rejected = mean_logp(batch.rejected);
  const at::Tensor log_odds = (chosen - rejected) - (log1mexp(chosen) - log1mexp(rejected));
  const at::Tensor odds_ratio = soft_logistic(log_odds, smoothed_labels(batch, 0.0));
  const at::Tensor nll =
      batch.prompt_nll.to(at::kDouble) - response_sum(batch.chosen, batch.chosen.logps);
  const auto pairs = static_cast<double>(batch.pairs());
  MetricList metrics;
  metrics.add_rewards(batch, chosen * options_.beta, rejected * options_.beta);
  metrics.add("nll_loss", nll, static_cast<double>(units(Per::kSequenceToken, batch)));
  metrics.add("log_odds_chosen", log_odds, pairs);
  metrics.add("log_odds_ratio", at::log_sigmoid(log_odds), pairs);
  return {.values = {nll, odds_ratio},
          .margin = (chosen - rejected) * options_.beta,
          .metrics = metrics.take()};
}

}  // namespace plumb
