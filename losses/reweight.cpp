#include "losses/reweight.hpp"

#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "core/error.hpp"
#include "losses/ops.hpp"

namespace plumb {
namespace {

bool of_pairs(const TermInfo& info) { return info.per == Per::kPair || info.per == Per::kResponse; }

}  // namespace

at::Tensor dynamic_weights(const at::Tensor& losses, const std::string& strategy, double r) {
  const at::Tensor low = losses.min(), high = losses.max();
  const at::Tensor h = (losses * 2.0 - (high + low)) / (high - low).clamp_min(1e-6);
  const at::Tensor f = strategy == "linupper"    ? (h + 1.0).clamp_max(1.0)
                       : strategy == "quadratic" ? 1.0 - h.square()
                       : strategy == "extremes"  ? h.abs()
                                                 : at::zeros_like(h);
  return (f / r).softmax(0);
}

ReweightModifier::ReweightModifier(std::unique_ptr<PairwiseLoss> base, Options options)
    : base_(std::move(base)), options_(std::move(options)) {
  const std::vector<TermInfo> infos = base_->terms();
  if (std::none_of(infos.begin(), infos.end(), of_pairs)) {
    throw UsageError(
        "loss.modifier = reweight: the chosen loss counts tokens, not pairs; nothing to weight");
  }
}

Needs ReweightModifier::needs() const {
  Needs needs = base_->needs();
  needs.whole_step = true;
  return needs;
}

PairTerms ReweightModifier::pair_terms(const PreferenceBatch& batch) const {
  PairTerms out = base_->pair_terms(batch);
  const std::vector<TermInfo> infos = terms();
  at::Tensor losses = at::zeros_like(out.margin.detach());
  for (std::size_t k = 0; k < infos.size(); ++k) {
    if (of_pairs(infos[k])) losses.add_(out.values[k].detach(), infos[k].weight);
  }
  const auto pairs = static_cast<double>(batch.pairs());
  // The trainer divides by the number of pairs: weights of mean 1 make that the weighted sum.
  const at::Tensor weights = dynamic_weights(losses, options_.strategy, options_.r) * pairs;
  for (std::size_t k = 0; k < infos.size(); ++k) {
    if (of_pairs(infos[k])) out.values[k] = out.values[k] * weights;
  }
  MetricList metrics;
  metrics.add("reweight/effective_pairs", pairs * pairs / weights.square().sum(), 1.0);
  for (Metric& metric : metrics.take()) out.metrics.push_back(std::move(metric));
  return out;
}

}  // namespace plumb
