#include "losses/elr.hpp"

#include <ATen/ops/pow.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>

#include "losses/ops.hpp"

namespace plumb {

Needs ElrModifier::needs() const {
  Needs needs = base_->needs();
  needs.history = true;
  return needs;
}

std::vector<TermInfo> ElrModifier::terms() const {
  std::vector<TermInfo> infos = base_->terms();
  infos.push_back({"elr", options_.lambda, Per::kPair});
  return infos;
}

PairTerms ElrModifier::pair_terms(const PreferenceBatch& batch) const {
  constexpr double kLeast = 1e-4;
  PairTerms out = base_->pair_terms(batch);
  const at::Tensor right = out.margin.sigmoid().clamp(kLeast, 1.0 - kLeast), wrong = 1.0 - right;
  const at::Tensor history = batch.history.to(at::kDouble);
  const at::Tensor before = history.select(1, 2), visits = before + 1.0;
  const auto target = [&](std::int64_t column, const at::Tensor& p) {
    return history.select(1, column) * options_.beta + p.detach() * (1.0 - options_.beta);
  };
  const at::Tensor t_right = target(0, right), t_wrong = target(1, wrong);
  at::Tensor agreement = t_right * right + t_wrong * wrong;
  if (options_.bias_correction) agreement = agreement / (1.0 - at::pow(options_.beta, visits));
  const at::Tensor regulariser =
      at::where(before >= static_cast<double>(options_.warmup_visits), (-agreement).log1p(), 0.0);
  out.values.push_back(regulariser);
  out.history = at::stack({t_right, t_wrong, visits}, 1);

  const auto pairs = static_cast<double>(batch.pairs());
  MetricList metrics;
  metrics.add("elr/regulariser", regulariser, pairs);
  metrics.add("elr/suspect", t_wrong > t_right, pairs);
  for (Metric& metric : metrics.take()) out.metrics.push_back(std::move(metric));
  return out;
}

}  // namespace plumb
