#include "batches.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <sstream>

#include "support/files.hpp"

namespace plumb::test {

at::Tensor vector(const Numbers& values) { return at::tensor(values, at::kDouble); }

Numbers numbers(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().to(at::kDouble).contiguous();
  return {plain.const_data_ptr<double>(), plain.const_data_ptr<double>() + plain.numel()};
}

namespace {

ResponseSide side_of_sums(const Sums& sums) {
  ResponseSide side;
  side.offsets = {0};
  Numbers policy, reference;
  for (std::size_t i = 0; i < sums.policy.size(); ++i) {
    policy.push_back(sums.policy[i]);
    reference.push_back(sums.reference[i]);
    policy.resize(policy.size() + sums.lengths[i] - 1);
    reference.resize(policy.size());
    side.offsets.push_back(static_cast<std::int64_t>(policy.size()));
  }
  side.logps = vector(policy).requires_grad_(true);
  side.ref_logps = vector(reference);
  return side;
}

}  // namespace

PreferenceBatch batch_of_sums(const Sums& chosen, const Sums& rejected) {
  PreferenceBatch batch;
  batch.chosen = side_of_sums(chosen);
  batch.rejected = side_of_sums(rejected);
  return batch;
}

Numbers sum_gradients(const ResponseSide& side) {
  const at::Tensor gradient = side.logps.grad();
  Numbers all = gradient.defined() ? numbers(gradient) : Numbers(side.offsets.back(), 0.0), out;
  for (std::size_t i = 0; i + 1 < side.offsets.size(); ++i) out.push_back(all[side.offsets[i]]);
  return out;
}

PreferenceBatch fixture_sums() {
  return batch_of_sums({{-12.5, -30, -8}, {-13, -28, -8}, {5, 10, 4}},
                       {{-14, -25, -8}, {-13.5, -26, -8}, {7, 8, 4}});
}

PreferenceBatch batch_of_logits(const at::Tensor& logits, const at::Tensor& ref_logits,
                                const Picks& picks) {
  const at::Tensor lp = at::log_softmax(logits, 1), lq = at::log_softmax(ref_logits, 1);
  const at::Tensor kl = (lq.exp() * (lq - lp)).sum(1);
  const at::Tensor square = at::logsumexp(lp.detach() * 2, 1);
  const std::size_t pairs = picks.size() / 2;
  const auto side = [&](std::size_t first) {
    ResponseSide out;
    out.offsets = {0};
    std::vector<std::int64_t> rows, targets;
    for (std::size_t i = first; i < first + pairs; ++i) {
      for (const Pick& pick : picks[i]) {
        rows.push_back(pick.row);
        targets.push_back(pick.target);
      }
      out.offsets.push_back(static_cast<std::int64_t>(rows.size()));
    }
    const at::Tensor row = at::tensor(rows, at::kLong), target = at::tensor(targets, at::kLong);
    const auto pick = [&](const at::Tensor& table) {
      return table.index_select(0, row).gather(1, target.unsqueeze(1)).squeeze(1);
    };
    out.logps = pick(lp);
    out.ref_logps = pick(lq).detach();
    out.kl = kl.index_select(0, row);
    out.square_logsum = square.index_select(0, row);
    return out;
  };
  PreferenceBatch batch;
  batch.chosen = side(0);
  batch.rejected = side(pairs);
  return batch;
}

Numbers flat(const nlohmann::json& values) {
  if (!values.is_array()) return {number(values)};
  Numbers out;
  for (const nlohmann::json& value : values) {
    const Numbers part = flat(value);
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

at::Tensor logits_leaf(const nlohmann::json& values) {
  const auto width = static_cast<std::int64_t>(values[0][0].size());
  return vector(flat(values)).reshape({-1, width}).requires_grad_(true);
}

Picks picks_of(const nlohmann::json& ids, const std::vector<std::vector<bool>>& mask) {
  Picks picks;
  for (std::size_t s = 0; s < mask.size(); ++s) {
    picks.emplace_back();
    for (std::size_t t = 1; t < mask[s].size(); ++t) {
      if (!mask[s][t]) continue;
      picks.back().push_back(
          {static_cast<std::int64_t>(s * mask[s].size() + t - 1), ids[s][t].get<std::int64_t>()});
    }
  }
  return picks;
}

HeadFixture fixture_head() {
  const at::Tensor head =
      vector({1, -.4, .2, -.6, 1.6, 0, .4, .2, -1.2, 0, -1, 1.4, .8, .6, .6}).reshape({5, 3});
  const at::Tensor ref_head =
      vector({.8, -.2, .4, -.4, 1.4, .2, .2, .4, -1, .2, -.8, 1.2, .6, .6, .4}).reshape({5, 3});
  const at::Tensor hidden = vector({1, .5, -1, .2, -1,  .8, -.5, 1.2, .3,  .7, .1, -.9,  // chosen
                                    1, .5, -1, .9, -.3, .4, .1,  .6,  -1.1})             // rejected
                                .reshape({7, 3});
  head.requires_grad_(true);
  const Picks picks{{{0, 1}, {1, 3}, {2, 0}, {3, 2}}, {{4, 1}, {5, 4}, {6, 2}}};
  return {head, batch_of_logits(hidden.matmul(head.t()), hidden.matmul(ref_head.t()), picks)};
}

PreferenceBatch random_batch(std::int64_t pairs, unsigned seed) {
  std::mt19937 random(seed);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  const auto many = [&](std::int64_t count, double low, double high) {
    Numbers values(static_cast<std::size_t>(count));
    for (double& value : values) value = uniform(low, high);
    return vector(values);
  };
  const auto side = [&] {
    ResponseSide out;
    out.offsets = {0};
    for (std::int64_t i = 0; i < pairs; ++i) {
      out.offsets.push_back(out.offsets.back() + std::uniform_int_distribution<int>(1, 6)(random));
    }
    const std::int64_t tokens = out.offsets.back();
    out.logps = many(tokens, -3.0, -0.01);
    out.ref_logps = out.logps + many(tokens, -0.4, 0.4);
    out.kl = many(tokens, 0.0, 0.5).requires_grad_(true);
    out.square_logsum = many(tokens, -2.0, -0.1);
    out.token_rewards = many(tokens, -0.5, 0.5);
    out.span_mask = many(tokens, -1.0, 1.0) > 0.0;
    out.reward = many(pairs, -2.0, 2.0);
    out.logps.requires_grad_(true);
    return out;
  };
  PreferenceBatch batch;
  batch.chosen = side();
  batch.rejected = side();
  batch.label = many(pairs, 1.0, 1.0);
  batch.prompt_nll = many(pairs, 1.0, 9.0).requires_grad_(true);
  for (std::int64_t i = 0; i < pairs; ++i) batch.prompt_lengths.push_back(2 + i % 3);
  const at::Tensor target = many(pairs, 0.05, 0.6);
  batch.history = at::tensor(0.0).to(at::kDouble).repeat({pairs, 3});
  batch.history.select(1, 0).copy_(target);
  batch.history.select(1, 1).copy_(0.65 - target);
  batch.history.select(1, 2).fill_(3.0);
  batch.progress = 0.3;
  batch.baseline.offsets = {0};
  for (std::int64_t i = 0; i < pairs; ++i)  // the first pair has none
    batch.baseline.offsets.push_back(batch.baseline.offsets.back() + (i == 0 ? 0 : 1 + i % 3));
  batch.baseline.logps = many(batch.baseline.offsets.back(), -3.0, -0.01).requires_grad_(true);
  return batch;
}

namespace {

ResponseSide slice_side(const ResponseSide& side, std::int64_t begin, std::int64_t end) {
  const std::int64_t from = side.offsets[begin], count = side.offsets[end] - from;
  ResponseSide out;
  for (std::int64_t i = begin; i <= end; ++i) out.offsets.push_back(side.offsets[i] - from);
  for (at::Tensor ResponseSide::*part :
       {&ResponseSide::logps, &ResponseSide::ref_logps, &ResponseSide::kl,
        &ResponseSide::square_logsum, &ResponseSide::token_rewards, &ResponseSide::span_mask}) {
    if ((side.*part).defined()) out.*part = (side.*part).narrow(0, from, count);
  }
  if (side.reward.defined()) out.reward = side.reward.narrow(0, begin, end - begin);
  return out;
}

}  // namespace

PreferenceBatch slice(const PreferenceBatch& batch, std::int64_t begin, std::int64_t end) {
  PreferenceBatch out;
  out.chosen = slice_side(batch.chosen, begin, end);
  out.rejected = slice_side(batch.rejected, begin, end);
  out.baseline = slice_side(batch.baseline, begin, end);
  out.progress = batch.progress;
  out.label = batch.label.narrow(0, begin, end - begin);
  out.prompt_nll = batch.prompt_nll.narrow(0, begin, end - begin);
  out.history = batch.history.narrow(0, begin, end - begin);
  out.prompt_lengths = {batch.prompt_lengths.begin() + begin, batch.prompt_lengths.begin() + end};
  return out;
}

PreferenceBatch swap(const PreferenceBatch& batch) {
  PreferenceBatch out = batch;
  std::swap(out.chosen, out.rejected);
  return out;
}

namespace {

at::Tensor mean_of(const PreferenceLoss& loss, const LossOutput& out,
                   const PreferenceBatch& batch) {
  const std::vector<TermInfo> infos = loss.terms();
  at::Tensor total;
  for (std::size_t k = 0; k < infos.size(); ++k) {
    const at::Tensor part =
        out.sums[k] * (infos[k].weight / static_cast<double>(units(infos[k].per, batch)));
    total = k == 0 ? part : total + part;
  }
  return total;
}

}  // namespace

at::Tensor mean_loss(const PreferenceLoss& loss, const PreferenceBatch& batch) {
  return mean_of(loss, loss(batch), batch);
}

Evaluation evaluate(const PreferenceLoss& loss, const PreferenceBatch& batch) {
  const LossOutput out = loss(batch);
  at::Tensor total = mean_of(loss, out, batch);
  if (total.requires_grad()) total.backward();
  Evaluation result{total.item<double>(), numbers(out.pair_loss), numbers(out.margin), {}};
  for (const Metric& metric : out.metrics) result.metrics[metric.name] = metric.sum / metric.count;
  return result;
}

std::vector<std::pair<std::string, at::Tensor>> leaves(const Needs& needs,
                                                       const PreferenceBatch& batch) {
  std::vector<std::pair<std::string, at::Tensor>> all{{"chosen.logps", batch.chosen.logps},
                                                      {"rejected.logps", batch.rejected.logps}};
  if (needs.kl) {
    all.emplace_back("chosen.kl", batch.chosen.kl);
    all.emplace_back("rejected.kl", batch.rejected.kl);
  }
  if (needs.prompt_nll) all.emplace_back("prompt_nll", batch.prompt_nll);
  if (needs.baseline) all.emplace_back("baseline.logps", batch.baseline.logps);
  return all;
}

double gradient_error(const PreferenceLoss& loss, const PreferenceBatch& batch, at::Tensor leaf) {
  constexpr double kStep = 1e-6;
  if (leaf.grad().defined()) leaf.mutable_grad().zero_();
  const at::Tensor total = mean_loss(loss, batch);
  if (total.requires_grad()) total.backward();
  const Numbers gradient =
      leaf.grad().defined() ? numbers(leaf.grad()) : Numbers(leaf.numel(), 0.0);
  const at::NoGradGuard no_grad;
  double* values = leaf.mutable_data_ptr<double>();
  double worst = 0.0;
  for (std::int64_t i = 0; i < leaf.numel(); ++i) {
    const double kept = values[i];
    values[i] = kept + kStep;
    const double above = mean_loss(loss, batch).item<double>();
    values[i] = kept - kStep;
    const double below = mean_loss(loss, batch).item<double>();
    values[i] = kept;
    worst = std::max(worst, std::abs((above - below) / (2 * kStep) - gradient[i]));
  }
  return worst;
}

std::string difference(const Numbers& got, const Numbers& want, Tolerance tolerance) {
  std::ostringstream out;
  out.precision(17);
  if (got.size() != want.size()) out << got.size() << " numbers instead of " << want.size();
  for (std::size_t i = 0; i < std::min(got.size(), want.size()) && out.str().empty(); ++i) {
    if (!std::isfinite(want[i])) continue;
    const double allowed = tolerance.absolute + tolerance.relative * std::abs(want[i]);
    if (!(std::abs(got[i] - want[i]) <= allowed))
      out << "[" << i << "] " << got[i] << " instead of " << want[i];
  }
  return out.str();
}

}  // namespace plumb::test
