#include "losses/treg.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include "losses/ops.hpp"

namespace plumb {
namespace {

struct TokenGradients {
  at::Tensor chosen, rejected;  // [N]
};

/// d(sum of values) / d(policy log-probs), 0 where they do not matter.
TokenGradients token_gradients(const at::Tensor& values, const PreferenceBatch& batch,
                               bool create_graph) {
  const std::vector<at::Tensor> inputs{batch.chosen.logps, batch.rejected.logps};
  std::vector<at::Tensor> gradients(2);
  if (values.requires_grad()) {
    gradients = torch::autograd::grad({values.sum()}, inputs, {}, /*retain_graph=*/true,
                                      create_graph, /*allow_unused=*/true);
  }
  for (std::size_t i = 0; i < 2; ++i) {
    if (!gradients[i].defined()) gradients[i] = at::zeros_like(inputs[i].detach());
  }
  return {gradients[0], gradients[1]};
}

/// The batch with policy log-probs that are leaves of a graph of their own.
PreferenceBatch with_leaves(PreferenceBatch batch) {
  batch.chosen.logps = batch.chosen.logps.detach().requires_grad_(true);
  batch.rejected.logps = batch.rejected.logps.detach().requires_grad_(true);
  return batch;
}

struct Coefficients {
  std::vector<TokenGradients> terms;  // of every term of the base loss
  TokenGradients margin;              // of its margin, no gradient
};

/// Constant coefficients come from a graph over the [N] log-probs alone, in evaluation too.
Coefficients constant_coefficients(const PairwiseLoss& base, const PreferenceBatch& batch) {
  const c10::AutoGradMode with_gradient(true);
  const PreferenceBatch leaves = with_leaves(batch);
  const PairTerms terms = base.pair_terms(leaves);
  Coefficients out{.terms = {}, .margin = token_gradients(terms.margin, leaves, false)};
  for (const at::Tensor& values : terms.values) {
    out.terms.push_back(token_gradients(values, leaves, false));
  }
  return out;
}

Coefficients differentiable_coefficients(const PairTerms& terms, const PreferenceBatch& batch) {
  Coefficients out{.terms = {}, .margin = token_gradients(terms.margin, batch, false)};
  for (const at::Tensor& values : terms.values) {
    out.terms.push_back(token_gradients(values, batch, true));
  }
  return out;
}

void add_reward_metrics(MetricList& metrics, const PreferenceBatch& batch,
                        const TokenGradients& slope) {
  const ResponseSide &w = batch.chosen, &l = batch.rejected;
  const auto w_tokens = static_cast<double>(w.offsets.back());
  const auto l_tokens = static_cast<double>(l.offsets.back());
  const auto implicit = [](const ResponseSide& side) {
    return side.ref_logps.defined() ? side.logps - side.ref_logps : side.logps;
  };
  metrics.add("treg/rhat_mean_chosen", w.token_rewards, w_tokens);
  metrics.add("treg/rhat_mean_rejected", l.token_rewards, l_tokens);
  metrics.add("treg/rhat_pos_frac", (w.token_rewards > 0.0).sum() + (l.token_rewards > 0.0).sum(),
              w_tokens + l_tokens);
  metrics.add("treg/agreement",
              (slope.chosen * implicit(w) * w.token_rewards).sum() -
                  (slope.rejected * implicit(l) * l.token_rewards).sum(),
              w_tokens + l_tokens);
}

}  // namespace

Needs TregModifier::needs() const {
  Needs needs = base_->needs();
  needs.token_rewards = true;
  return needs;
}

PairTerms TregModifier::pair_terms(const PreferenceBatch& batch) const {
  PairTerms out = base_->pair_terms(batch);
  const ResponseSide &w = batch.chosen, &l = batch.rejected;
  const bool through_weight = !options_.detach_weight && out.margin.requires_grad();
  const Coefficients c = through_weight ? differentiable_coefficients(out, batch)
                                        : constant_coefficients(*base_, batch);
  const auto pairs = static_cast<double>(batch.pairs());
  const std::vector<TermInfo> infos = terms();
  MetricList metrics;
  at::Tensor pull = at::zeros_like(out.margin.detach());
  for (std::size_t k = 0; k < infos.size(); ++k) {
    const at::Tensor chosen = response_sum(w, c.terms[k].chosen * w.token_rewards * w.logps);
    const at::Tensor rejected = -response_sum(l, c.terms[k].rejected * l.token_rewards * l.logps);
    out.values[k] = out.values[k] + (chosen + rejected) * options_.alpha;
    if (infos[k].per == Per::kPair) {
      pull.sub_(response_sum(w, c.terms[k].chosen.detach()), infos[k].weight);
      metrics.add("treg/reg_chosen", chosen * infos[k].weight, pairs);
      metrics.add("treg/reg_rejected", rejected * infos[k].weight, pairs);
    }
  }
  const at::Tensor slope = response_sum(w, c.margin.chosen);
  metrics.add("treg/weight", at::where(slope == 0.0, 0.0, pull / slope), pairs);
  add_reward_metrics(metrics, batch, c.margin);
  for (Metric& metric : metrics.take()) out.metrics.push_back(std::move(metric));
  return out;
}

}  // namespace plumb
