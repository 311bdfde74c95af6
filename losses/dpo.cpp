#include "losses/dpo.hpp"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "core/error.hpp"
#include "losses/ops.hpp"

namespace plumb {
namespace {

bool any_type(const DpoOptions& options, bool DpoType::*flag) {
  return std::any_of(options.loss_type.begin(), options.loss_type.end(),
                     [&](const std::string& name) { return find_dpo_type(name).*flag; });
}

void check(const DpoOptions& o, const std::string& section) {
  const auto reject = [&](const char* option, const auto&... text) {
    throw UsageError(cat(section, ".", option, ": ", text...));
  };
  const auto uses = [&](const char* name) {
    return std::find(o.loss_type.begin(), o.loss_type.end(), name) != o.loss_type.end();
  };
  if (o.loss_type.empty()) reject("loss_type", "expected at least one loss type");
  if (!o.loss_weights.empty() && o.loss_weights.size() != o.loss_type.size()) {
    reject("loss_weights", o.loss_weights.size(), " weights for ", o.loss_type.size(),
           " loss types; give one for each, or none");
  }
  if (uses("exo_pair") && o.label_smoothing <= 0.0) {
    reject("label_smoothing", "exo_pair needs a value above 0, such as 0.001");
  }
  if (uses("robust") && o.label_smoothing >= 0.5) {
    reject("label_smoothing", "robust needs a value below 0.5");
  }
  if (o.label_smoothing > 0.0 && !any_type(o, &DpoType::reads_smoothing)) {
    reject(
        "label_smoothing",
        "has no effect on the chosen loss types; use cdpo for a smoothed sigmoid, or set it to 0");
  }
  const bool fixed = o.dpo_lambda_strategy == "fixed";
  if ((o.dpo_lambda != 1.0 || !fixed) && !any_type(o, &DpoType::reads_z)) {
    reject("dpo_lambda", "has no effect on the chosen loss types; set it to 1, fixed");
  }
  if (o.dpo_lambda != 1.0 && !fixed) {
    reject("dpo_lambda", "has no effect with dpo_lambda_strategy = ", o.dpo_lambda_strategy,
           ", which goes by dpo_lambda_min and dpo_lambda_max");
  }
  if (o.dpo_lambda_min > o.dpo_lambda_max) {
    reject("dpo_lambda_min", o.dpo_lambda_min, " exceeds dpo_lambda_max = ", o.dpo_lambda_max);
  }
  if (o.use_weighting && any_type(o, &DpoType::coupled)) {
    reject("use_weighting", "aot and aot_unpaired sort over pairs and cannot be weighted");
  }
}

/// [N] 1 for the first min(n_w, n_l) tokens of each response, `tail` for the others.
at::Tensor length_weights(const ResponseSide& side, const ResponseSide& other, double tail) {
  std::vector<double> weights(static_cast<std::size_t>(side.offsets.back()), 1.0);
  for (std::size_t i = 1; i < side.offsets.size(); ++i) {
    const std::int64_t shared =
        std::min(side.offsets[i] - side.offsets[i - 1], other.offsets[i] - other.offsets[i - 1]);
    std::fill(weights.begin() + side.offsets[i - 1] + shared, weights.begin() + side.offsets[i],
              tail);
  }
  return at::tensor(weights, at::kDouble).to(side.logps.device());
}

struct SideScores {
  at::Tensor policy, ref, ratio;  // [B]
};

SideScores side_scores(const ResponseSide& side, const ResponseSide& other, const DpoOptions& o) {
  const auto sum = [&](const at::Tensor& values) {
    return response_sum(
        side, o.ld_alpha == 1.0 ? values : values * length_weights(side, other, o.ld_alpha));
  };
  const at::Tensor policy = sum(side.logps);
  if (o.reference_free) return {policy, at::zeros_like(policy.detach()), policy};
  return {policy, sum(side.ref_logps), sum(side.logps - side.ref_logps)};
}

PairScores pair_scores(const PreferenceBatch& batch, const DpoOptions& o) {
  const SideScores w = side_scores(batch.chosen, batch.rejected, o);
  const SideScores l = side_scores(batch.rejected, batch.chosen, o);
  const auto score = [&](const at::Tensor& ratio) {
    return f_score(o.f_divergence_type, ratio, o.f_alpha_divergence_coef);
  };
  return {.policy_w = w.policy,
          .policy_l = l.policy,
          .ref_w = w.ref,
          .ref_l = l.ref,
          .a = w.ratio,
          .b = l.ratio,
          .fa = score(w.ratio),
          .fb = score(l.ratio),
          .n_w = response_lengths(batch.chosen),
          .n_l = response_lengths(batch.rejected),
          .nll_w = -response_sum(batch.chosen, batch.chosen.logps)};
}

/// WPO's weight of a response: e to the mean over its tokens of log p(token) - log sum_v p(v)^2.
at::Tensor policy_weight(const ResponseSide& side) {
  const at::Tensor surprise = side.logps.detach() - side.square_logsum;
  return (response_sum(side, surprise) / response_lengths(side)).exp();
}

}  // namespace

double shift_lambda(const DpoOptions& o, double progress) {
  const double moved = (o.dpo_lambda_max - o.dpo_lambda_min) * progress;
  if (o.dpo_lambda_strategy == "increase_linear") return o.dpo_lambda_min + moved;
  if (o.dpo_lambda_strategy == "decrease_linear") return o.dpo_lambda_max - moved;
  return o.dpo_lambda;
}

DpoLoss::DpoLoss(Options options, const std::string& section) : options_(std::move(options)) {
  check(options_, section);
}

Needs DpoLoss::needs() const {
  return {.reference = !options_.reference_free,
          .square_logsum = options_.use_weighting,
          .whole_step = any_type(options_, &DpoType::coupled)};
}

std::vector<TermInfo> DpoLoss::terms() const {
  std::vector<TermInfo> infos;
  for (std::size_t k = 0; k < options_.loss_type.size(); ++k) {
    infos.push_back(
        {options_.loss_type[k], options_.loss_weights.empty() ? 1.0 : options_.loss_weights[k],
         find_dpo_type(options_.loss_type[k]).imitates ? Per::kChosenToken : Per::kPair});
  }
  return infos;
}

PairTerms DpoLoss::pair_terms(const PreferenceBatch& batch) const {
  DpoOptions o = options_;
  o.dpo_lambda = shift_lambda(o, batch.progress);
  const PairScores scores = pair_scores(batch, o);
  const std::optional<at::Tensor> label = soft_labels(batch);
  at::Tensor weight;
  if (o.use_weighting) weight = policy_weight(batch.chosen) * policy_weight(batch.rejected);

  PairTerms out;
  for (const std::string& name : o.loss_type) {
    const DpoType& type = find_dpo_type(name);
    at::Tensor values = type.values(scores, o);
    if (!type.imitates) {
      if (type.coupled) require_hard_labels(batch, name);
      if (label) values = *label * values + (1.0 - *label) * type.values(swapped(scores), o);
      if (weight.defined()) values = values * weight;
    }
    out.values.push_back(values);
  }
  const at::Tensor chosen = scores.a * o.beta, rejected = scores.b * o.beta;
  out.margin = chosen - rejected;
  MetricList metrics;
  metrics.add_rewards(batch, chosen, rejected);
  if (any_type(o, &DpoType::imitates)) {
    metrics.add("nll_loss", scores.nll_w, static_cast<double>(batch.chosen.offsets.back()));
  }
  if (o.dpo_lambda_strategy != "fixed")
    metrics.add("dpo/lambda", o.dpo_lambda * static_cast<double>(batch.pairs()),
                static_cast<double>(batch.pairs()));
  if (weight.defined()) metrics.add("wpo/weight", weight, static_cast<double>(batch.pairs()));
  out.metrics = metrics.take();
  return out;
}

}  // namespace plumb
