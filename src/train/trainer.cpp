#include "train/trainer.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.hpp"
#include "core/rng.hpp"
#include "kernels/adamw.hpp"
#include "train/join_batches.hpp"
#include "train/schedule.hpp"
#include "train/token_metrics.hpp"
#include "train/training_state.hpp"

namespace plumb {
namespace {

/// The divisor of a loss term: its total over the pairs of an optimizer step.
double total_of(Per per, std::span<const TrainingPair* const> pairs) {
  std::int64_t total = 0;
  for (const TrainingPair* pair : pairs) total += units(per, pair->size());
  return static_cast<double>(total);
}

/// Sums and counts of metrics by name, in order of first appearance.
class MetricTotals {
 public:
  void add(const std::string& name, double sum, double count) {
    const auto [it, is_new] = index_.try_emplace(name, totals_.size());
    if (is_new) totals_.push_back({name, 0.0, 0.0});
    totals_[it->second].sum += sum;
    totals_[it->second].count += count;
  }
  std::vector<std::pair<std::string, double>> means() const {
    std::vector<std::pair<std::string, double>> out;
    for (const Metric& total : totals_) {
      if (total.count > 0.0) out.emplace_back(total.name, total.sum / total.count);
    }
    return out;
  }

 private:
  std::map<std::string, std::size_t> index_;
  std::vector<Metric> totals_;
};

std::string ids_of(std::span<const TrainingPair* const> pairs) {
  std::string out;
  for (const TrainingPair* pair : pairs) out += cat(out.empty() ? "" : ", ", pair->id);
  return out;
}

double largest_gap(const ResponseSide& side) {
  if (!side.ref_logps.defined() || side.logps.numel() == 0) return 0.0;
  return (side.logps.detach() - side.ref_logps).abs().max().item<double>();
}

}  // namespace

struct Trainer::Impl {
  Decoder& policy;
  const PreferenceLoss& loss;
  TrainOptions options;
  std::span<const TrainingPair> pairs;
  std::uint64_t order_seed;
  const Decoder* reference;
  std::int64_t steps_per_epoch, total, done = 0;
  std::vector<at::Tensor> first_moments, second_moments;  // one per parameter
  std::vector<std::pair<at::Tensor, at::Tensor>> noted;   // indices and history of the running step
  at::Tensor history;  // [pairs, 3] float64, what the loss noted of each pair; Needs::history

  Impl(Decoder& policy_, const PreferenceLoss& loss_, const TrainOptions& options_,
       std::span<const TrainingPair> pairs_, std::uint64_t order_seed_, const Decoder* reference_)
      : policy(policy_),
        loss(loss_),
        options(options_),
        pairs(pairs_),
        order_seed(order_seed_),
        reference(reference_) {
    const auto count = static_cast<std::int64_t>(pairs.size());
    steps_per_epoch = (count + options.batch_size - 1) / options.batch_size;
    total = options.max_steps >= 0 ? (count > 0 ? options.max_steps : 0)
                                   : steps_per_epoch * options.num_train_epochs;
    for (const NamedParameter& parameter : policy.parameters()) {
      first_moments.push_back(at::zeros_like(parameter.value));
      second_moments.push_back(at::zeros_like(parameter.value));
    }
    if (loss.needs().history) history = at::zeros({count, 3}, at::kDouble);
  }

  /// What the loss reads of a micro-batch.
  PreferenceBatch batch_of(const MicroBatch& micro, const Needs& needs,
                           MetricTotals& metrics) const {
    PreferenceBatch batch = make_preference_batch(micro, stats_of(micro, needs, metrics), needs);
    batch.progress = static_cast<double>(done) / static_cast<double>(total);
    if (needs.history)
      batch.history = history.index_select(0, indices_of(micro.pairs)).to(policy.device());
    return batch;
  }

  /// Places of pairs in `pairs`. [B] int64
  at::Tensor indices_of(std::span<const TrainingPair* const> which) const {
    std::vector<std::int64_t> indices;
    for (const TrainingPair* pair : which) indices.push_back(pair - pairs.data());
    return at::tensor(indices, at::kLong);
  }

  /// The pairs of a step: each epoch is a fresh permutation cut into batches.
  std::vector<const TrainingPair*> pairs_of(std::int64_t step) const {
    const std::int64_t epoch = step / steps_per_epoch;
    std::vector<std::size_t> order(pairs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    shuffle(order, RandomStream(order_seed, static_cast<std::uint64_t>(epoch), 0));
    const auto begin = static_cast<std::size_t>((step % steps_per_epoch) * options.batch_size);
    const std::size_t end =
        std::min(order.size(), begin + static_cast<std::size_t>(options.batch_size));
    std::vector<const TrainingPair*> out;
    for (std::size_t i = begin; i < end; ++i) out.push_back(&pairs[order[i]]);
    return out;
  }

  /// The loss of a batch, its gradient's scale and its records.
  struct Weighed {
    at::Tensor total;
    LossOutput output;
  };
  Weighed weigh(const PreferenceBatch& batch,
                std::span<const TrainingPair* const> step_pairs) const {
    Weighed out{{}, loss(batch)};
    const std::vector<TermInfo> terms = loss.terms();
    for (std::size_t i = 0; i < terms.size(); ++i) {
      const at::Tensor part = out.output.sums[i] *
                              (terms[i].weight / std::max(1.0, total_of(terms[i].per, step_pairs)));
      out.total = out.total.defined() ? out.total + part : part;
    }
    return out;
  }

  void record(const Weighed& weighed, const PreferenceBatch& batch,
              std::span<const TrainingPair* const> own, StepResult& result, MetricTotals& metrics) {
    at::Tensor kept;
    if (weighed.output.history.defined()) {
      kept = weighed.output.history.detach().to(at::kCPU, at::kDouble).contiguous();
      noted.emplace_back(indices_of(own), kept);
    }
    result.loss += weighed.total.item<double>();
    for (const Metric& metric : weighed.output.metrics)
      metrics.add(metric.name, metric.sum, metric.count);
    const at::Tensor chosen =
        segment_sum(batch.chosen.logps.detach(), batch.chosen.offsets).to(at::kCPU, at::kDouble);
    const at::Tensor rejected = segment_sum(batch.rejected.logps.detach(), batch.rejected.offsets)
                                    .to(at::kCPU, at::kDouble);
    const at::Tensor losses = weighed.output.pair_loss.to(at::kCPU, at::kDouble);
    const at::Tensor margins = weighed.output.margin.to(at::kCPU, at::kDouble);
    for (std::size_t i = 0; i < own.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      result.pairs.push_back({own[i]->id, losses[at].item<double>(), margins[at].item<double>(),
                              chosen[at].item<double>(), rejected[at].item<double>()});
      if (kept.defined()) {
        const double* values = kept.const_data_ptr<double>() + kept.size(1) * at;
        result.pairs.back().history.assign(values, values + kept.size(1));
      }
      metrics.add("len/chosen", static_cast<double>(own[i]->chosen.ids.size()), 1.0);
      metrics.add("len/rejected", static_cast<double>(own[i]->rejected.ids.size()), 1.0);
    }
    result.max_reference_gap = std::max(
        {result.max_reference_gap, largest_gap(batch.chosen), largest_gap(batch.rejected)});
  }

  TokenStats stats_of(const MicroBatch& micro, const Needs& needs, MetricTotals& metrics) const {
    TokenStats stats =
        policy.token_stats(micro.batch, micro.rows, make_stats_request(micro, needs, reference));
    for (const Metric& metric : token_metrics(stats, micro.rows.offsets, std::ssize(micro.pairs)))
      metrics.add(metric.name, metric.sum, metric.count);
    return stats;
  }

  /// Each micro-batch on its own: forward, loss, backward.
  void accumulate_separately(std::span<const TrainingPair* const> step_pairs, const Needs& needs,
                             StepResult& result, MetricTotals& metrics) {
    for (const auto group : cut_by_tokens(step_pairs, options.micro_batch_tokens)) {
      const MicroBatch micro = make_micro_batch(group, needs, policy.device());
      result.tokens += micro.batch.tokens();
      const PreferenceBatch batch = batch_of(micro, needs, metrics);
      const Weighed weighed = weigh(batch, step_pairs);
      record(weighed, batch, group, result, metrics);
      check_finite(weighed.total.item<double>(), "loss", group);
      weighed.total.backward();
    }
  }

  /// Losses that couple the pairs of a step: log-probs of all pairs first, then the loss's gradient
  /// with respect to them, then one differentiated pass with these coefficients.
  void accumulate_together(std::span<const TrainingPair* const> step_pairs, const Needs& needs,
                           StepResult& result, MetricTotals& metrics) {
    const auto groups = cut_by_tokens(step_pairs, options.micro_batch_tokens);
    std::vector<PreferenceBatch> parts;
    {
      const at::NoGradGuard no_grad;
      for (const auto group : groups) {
        parts.push_back(batch_of(make_micro_batch(group, needs, policy.device()), needs, metrics));
      }
    }
    PreferenceBatch whole = join_batches(parts);
    for (at::Tensor* input : differentiable(whole)) *input = input->detach().requires_grad_(true);
    const Weighed weighed = weigh(whole, step_pairs);
    record(weighed, whole, step_pairs, result, metrics);
    check_finite(weighed.total.item<double>(), "loss", step_pairs);
    weighed.total.backward();

    std::vector<std::int64_t> used(differentiable(whole).size(), 0);
    MetricTotals ignored;
    for (const auto group : groups) {
      const MicroBatch micro = make_micro_batch(group, needs, policy.device());
      result.tokens += micro.batch.tokens();
      PreferenceBatch batch = batch_of(micro, needs, ignored);
      at::Tensor surrogate;
      const std::vector<at::Tensor*> inputs = differentiable(batch),
                                     sources = differentiable(whole);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        const std::int64_t n = inputs[i]->numel();
        if (!sources[i]->grad().defined()) continue;
        const at::Tensor part = at::dot(*inputs[i], sources[i]->grad().narrow(0, used[i], n));
        used[i] += n;
        surrogate = surrogate.defined() ? surrogate + part : part;
      }
      if (surrogate.defined()) surrogate.backward();
    }
  }

  void check_finite(double value, const char* what,
                    std::span<const TrainingPair* const> which) const {
    if (std::isfinite(value)) return;
    throw DataError(cat(
        "training step ", done + 1, ": the ", what, " is not finite (", value, "); pairs ",
        ids_of(which), ". Nothing was updated; lower train.learning_rate, or look at these pairs"));
  }
};

Trainer::Trainer(Decoder& policy, const PreferenceLoss& loss, const TrainOptions& options,
                 std::span<const TrainingPair> pairs, std::uint64_t order_seed,
                 const Decoder* reference)
    : impl_(std::make_unique<Impl>(policy, loss, options, pairs, order_seed, reference)) {}
Trainer::~Trainer() = default;

std::int64_t Trainer::total_steps() const { return impl_->total; }
std::int64_t Trainer::steps_done() const { return impl_->done; }

StepResult Trainer::step() {
  Impl& s = *impl_;
  expects(s.done < s.total, "a step that is left to do");
  const std::vector<const TrainingPair*> step_pairs = s.pairs_of(s.done);
  const Needs needs = s.loss.needs();
  StepResult result;
  MetricTotals metrics;
  s.policy.zero_gradients();
  s.noted.clear();
  if (needs.whole_step) {
    s.accumulate_together(step_pairs, needs, result, metrics);
  } else {
    s.accumulate_separately(step_pairs, needs, result, metrics);
  }

  double squared = 0.0;
  for (const NamedParameter& parameter : s.policy.parameters())
    squared += kernels::squared_norm(parameter.gradient);
  result.grad_norm = std::sqrt(squared);
  s.check_finite(result.grad_norm, "gradient", step_pairs);

  result.learning_rate = learning_rate(s.options, s.done, s.total);
  const double limit = s.options.max_grad_norm;
  kernels::AdamWStep update;
  update.learning_rate = result.learning_rate;
  update.beta1 = s.options.adam_beta1;
  update.beta2 = s.options.adam_beta2;
  update.epsilon = s.options.adam_epsilon;
  update.weight_decay = s.options.weight_decay;
  update.step = s.done + 1;
  update.gradient_scale = limit > 0.0 && result.grad_norm > limit ? limit / result.grad_norm : 1.0;
  std::vector<NamedParameter>& parameters = s.policy.parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    kernels::adamw(parameters[i].value, parameters[i].gradient, s.first_moments[i],
                   s.second_moments[i], update);
  }
  s.policy.refresh();
  for (const auto& [indices, values] : s.noted) s.history.index_copy_(0, indices, values);

  ++s.done;
  result.step = s.done;
  result.epoch = static_cast<double>(s.done) / static_cast<double>(s.steps_per_epoch);
  result.metrics = metrics.means();
  return result;
}

void Trainer::save_state(const std::filesystem::path& folder) const {
  const Impl& s = *impl_;
  write_training_state(folder,
                       {s.done, s.total, s.order_seed, static_cast<std::int64_t>(s.pairs.size())},
                       s.policy.parameters(), s.first_moments, s.second_moments, s.history);
}

void Trainer::load_state(const std::filesystem::path& folder) {
  Impl& s = *impl_;
  const TrainingPosition expected{0, s.total, s.order_seed,
                                  static_cast<std::int64_t>(s.pairs.size())};
  s.done = read_training_state(folder, expected, s.policy.parameters(), s.first_moments,
                               s.second_moments, s.history);
  s.policy.refresh();
}

}  // namespace plumb
