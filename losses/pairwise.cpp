#include "losses/pairwise.hpp"

#include <ATen/ops/clamp_min.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.hpp"
#include "losses/ops.hpp"
#include "tensor/ragged.hpp"

namespace plumb {
namespace {

void expect_tokens(bool needed, const ResponseSide& side, const at::Tensor& values,
                   const char* what) {
  expects(
      !needed || (values.defined() && values.dim() == 1 && values.size(0) == side.offsets.back()),
      what);
}

void expect_side(const Needs& needs, const ResponseSide& side) {
  expect_tokens(true, side, side.logps, "policy log-probs of every response token");
  expect_tokens(needs.reference, side, side.ref_logps,
                "reference log-probs of every response token");
  expect_tokens(needs.kl, side, side.kl, "the KL at every response token");
  expect_tokens(needs.square_logsum, side, side.square_logsum,
                "log sum p^2 at every response token");
  expect_tokens(needs.token_rewards, side, side.token_rewards, "a reward for every response token");
  expect_tokens(needs.spans, side, side.span_mask, "a span mask over every response token");
}

void expect_batch(const Needs& needs, const PreferenceBatch& batch) {
  expects(
      !batch.chosen.offsets.empty() && batch.chosen.offsets.size() == batch.rejected.offsets.size(),
      "as many chosen as rejected responses");
  expect_side(needs, batch.chosen);
  expect_side(needs, batch.rejected);
  expects(!needs.baseline || (batch.baseline.offsets.size() == batch.chosen.offsets.size() &&
                              batch.baseline.logps.defined()),
          "the gold answers' log-probs");
  expects(!needs.rewards || (batch.chosen.reward.defined() && batch.rejected.reward.defined()),
          "a stored reward for every response");
  expects(!needs.prompt_nll || batch.prompt_nll.defined(), "the NLL of every prompt");
  expects(!needs.history || batch.history.defined(), "what was noted at each pair's last visit");
}

/// Divisor of each pair alone, at least 1. [B]
at::Tensor own_units(Per per, const PreferenceBatch& batch) {
  std::vector<double> own;
  for (std::int64_t i = 0; i < batch.pairs(); ++i)
    own.push_back(static_cast<double>(std::max<std::int64_t>(units(per, batch.size(i)), 1)));
  return at::tensor(own, at::kDouble).to(batch.chosen.logps.device());
}

}  // namespace

PairSize PreferenceBatch::size(std::int64_t pair) const {
  const auto tokens = [&](const ResponseSide& side) {
    return side.offsets.empty() ? 0 : side.offsets[pair + 1] - side.offsets[pair];
  };
  return {prompt_lengths.empty() ? 0 : prompt_lengths[pair], tokens(chosen), tokens(baseline)};
}

std::int64_t units(Per per, const PairSize& pair) {
  switch (per) {
    case Per::kPair:
      return 1;
    case Per::kResponse:
      return 2;
    case Per::kChosenToken:
      return pair.chosen;
    case Per::kSequenceToken:
      return pair.prompt - 1 + pair.chosen;
    case Per::kBaselineToken:
      return pair.baseline;
  }
  throw InternalError("unknown divisor of a loss term");
}

std::int64_t units(Per per, const PreferenceBatch& batch) {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < batch.pairs(); ++i) total += units(per, batch.size(i));
  return total;
}

LossOutput PairwiseLoss::operator()(const PreferenceBatch& batch) const {
  expect_batch(needs(), batch);
  PairTerms parts = pair_terms(batch);
  const std::vector<TermInfo> infos = terms();
  expects(parts.values.size() == infos.size(), "one value for every term");
  LossOutput out;
  out.pair_loss = at::zeros({batch.pairs()}, parts.margin.options().requires_grad(false));
  for (std::size_t k = 0; k < infos.size(); ++k) {
    out.sums.push_back(parts.values[k].sum());
    out.pair_loss.add_(parts.values[k].detach() / own_units(infos[k].per, batch), infos[k].weight);
  }
  out.margin = parts.margin.detach();
  out.metrics = std::move(parts.metrics);
  out.history = parts.history;
  return out;
}

at::Tensor response_sum(const ResponseSide& side, const at::Tensor& values) {
  return segment_sum(values.to(at::kDouble), side.offsets);
}

at::Tensor response_lengths(const ResponseSide& side) {
  std::vector<double> lengths;
  for (std::size_t i = 1; i < side.offsets.size(); ++i) {
    lengths.push_back(
        static_cast<double>(std::max<std::int64_t>(side.offsets[i] - side.offsets[i - 1], 1)));
  }
  return at::tensor(lengths, at::kDouble).to(side.logps.device());
}

at::Tensor log_ratio(const ResponseSide& side) {
  return response_sum(side, side.logps - side.ref_logps);
}

std::optional<at::Tensor> soft_labels(const PreferenceBatch& batch) {
  if (!batch.label.defined() || (batch.label == 1.0).all().item<bool>()) return std::nullopt;
  return batch.label.to(at::kDouble);
}

at::Tensor smoothed_labels(const PreferenceBatch& batch, double smoothing) {
  const at::Tensor label = soft_labels(batch).value_or(at::ones(
      {batch.pairs()}, batch.chosen.logps.options().dtype(at::kDouble).requires_grad(false)));
  return label * (1.0 - smoothing) + (1.0 - label) * smoothing;
}

void require_hard_labels(const PreferenceBatch& batch, const std::string& name) {
  if (soft_labels(batch)) {
    throw UsageError(cat("loss ", name, ": some pairs have a soft label, which it cannot use; ",
                         "choose dpo with loss_type sigmoid, or turn soft labels off"));
  }
}

void MetricList::add(std::string name, double sum, double count) {
  metrics_.push_back({std::move(name), sum, count});
}

void MetricList::add(std::string name, const at::Tensor& values, double count) {
  pending_.emplace_back(metrics_.size(), values.detach().to(at::kDouble).sum());
  add(std::move(name), 0.0, count);
}

void MetricList::add_rewards(const PreferenceBatch& batch, const at::Tensor& chosen,
                             const at::Tensor& rejected) {
  const auto pairs = static_cast<double>(batch.pairs());
  const auto chosen_tokens = static_cast<double>(batch.chosen.offsets.back());
  add("rewards/chosen", chosen, pairs);
  add("rewards/rejected", rejected, pairs);
  add("rewards/accuracies", chosen > rejected, pairs);
  add("rewards/margins", chosen - rejected, pairs);
  add("logps/chosen", batch.chosen.logps, pairs);
  add("logps/rejected", batch.rejected.logps, pairs);
  if (batch.chosen.ref_logps.defined()) {
    add("logratio/chosen_tokmean", batch.chosen.logps - batch.chosen.ref_logps, chosen_tokens);
  }
  add("len/chosen", chosen_tokens, pairs);
  add("len/rejected", static_cast<double>(batch.rejected.offsets.back()), pairs);
}

std::vector<Metric> MetricList::take() {
  if (!pending_.empty()) {
    std::vector<at::Tensor> sums;
    for (const auto& [index, sum] : pending_) sums.push_back(sum);
    const at::Tensor values = at::stack(sums).to(at::kCPU);
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      metrics_[pending_[i].first].sum = values.const_data_ptr<double>()[i];
    }
    pending_.clear();
  }
  return std::exchange(metrics_, {});
}

}  // namespace plumb
