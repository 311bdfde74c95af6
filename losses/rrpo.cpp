#include "losses/rrpo.hpp"

#include <ATen/ops/where.h>

#include "losses/ops.hpp"

namespace plumb {
namespace {

/// Log-ratio summed over the tokens of key spans. [B]
at::Tensor span_ratio(const ResponseSide& side) {
  return response_sum(side, at::where(side.span_mask, side.logps - side.ref_logps, 0.0));
}

void add_span_metrics(MetricList& metrics, const PreferenceBatch& batch) {
  const at::Tensor chosen = response_sum(batch.chosen, batch.chosen.span_mask);
  const at::Tensor rejected = response_sum(batch.rejected, batch.rejected.span_mask);
  const auto pairs = static_cast<double>(batch.pairs());
  const auto tokens =
      static_cast<double>(batch.chosen.offsets.back() + batch.rejected.offsets.back());
  metrics.add("rrpo/span_tokens_chosen", chosen, pairs);
  metrics.add("rrpo/span_tokens_rejected", rejected, pairs);
  metrics.add("rrpo/coverage", chosen + rejected, tokens);
  metrics.add("rrpo/empty_diff", chosen + rejected == 0.0, pairs);
}

}  // namespace

std::vector<TermInfo> RrpoLoss::terms() const {
  std::vector<TermInfo> infos{{"rank", 1.0, Per::kPair}};
  if (options_.alpha > 0.0) infos.push_back({"tkl", options_.alpha, Per::kPair});
  return infos;
}

PairTerms RrpoLoss::pair_terms(const PreferenceBatch& batch) const {
  const at::Tensor chosen = span_ratio(batch.chosen) * options_.beta;
  const at::Tensor rejected = span_ratio(batch.rejected) * options_.beta;
  const auto pairs = static_cast<double>(batch.pairs());
  PairTerms out;
  out.margin = chosen - rejected;
  out.values.push_back(soft_logistic(out.margin, smoothed_labels(batch, 0.0)));
  MetricList metrics;
  metrics.add_rewards(batch, chosen, rejected);
  add_span_metrics(metrics, batch);
  if (options_.alpha > 0.0) {
    out.values.push_back(response_sum(batch.chosen, batch.chosen.kl));
    metrics.add("rrpo/tkl_chosen", batch.chosen.kl, pairs);
    metrics.add("rrpo/tkl_rejected", batch.rejected.kl, pairs);
    metrics.add("rrpo/tkl_per_token", batch.chosen.kl,
                static_cast<double>(batch.chosen.offsets.back()));
  }
  out.metrics = metrics.take();
  return out;
}

}  // namespace plumb
