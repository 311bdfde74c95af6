#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "losses/registry.hpp"
#include "pipeline/degraded_rollout.hpp"
#include "pipeline/pair_data.hpp"
#include "pipeline/pair_inputs.hpp"
#include "pipeline/phases.hpp"
#include "store/samples.hpp"

namespace plumb {
namespace {

constexpr std::size_t kUnitPairs = 16;

void store_logps(RunContext& context, std::int64_t sample_id, std::int64_t checkpoint_id,
                 std::vector<float> values) {
  if (store::find_reference_logps(context.db, sample_id, checkpoint_id)) return;
  const double total = std::accumulate(values.begin(), values.end(), 0.0);
  store::add_reference_logps(context.db, {sample_id, checkpoint_id, total, std::move(values)});
}

/// How far the sampler's recorded log-probs lie from the trainer's forward pass, over tokens.
struct SamplerGap {
  double sum = 0.0, largest = 0.0;
  std::int64_t tokens = 0;
  /// Responses to another prompt than the one they are trained on have nothing to compare.
  void add(const store::SampleRow& sample, const std::vector<float>& trainer) {
    if (sample.suite == kDegraded) return;
    const std::vector<float>& sampler = sample.logp_policy;
    for (std::size_t i = 0; i < std::min(sampler.size(), trainer.size()); ++i) {
      const double gap =
          std::abs(static_cast<double>(sampler[i]) - static_cast<double>(trainer[i]));
      sum += gap;
      largest = std::max(largest, gap);
      ++tokens;
    }
  }
};

}  // namespace

void run_annotate_phase(RunContext& context, const store::Iteration& iteration) {
  expects(iteration.reference_checkpoint_id.has_value(), "an iteration with a reference");
  const std::int64_t reference = *iteration.reference_checkpoint_id;
  const Needs needs = make_loss(context.config.loss, context.config.values)->needs();
  PairSelection selection = select_pairs(context, iteration);
  if (needs.token_rewards) {
    annotate_token_rewards(context, iteration, selection.pairs);
    selection = select_pairs(context, iteration);
  }
  const std::vector<TrainingPair> pairs = load_pairs(context, selection.pairs);
  if (needs.spans) annotate_spans(context, selection.pairs, pairs);
  const bool sampled_by_reference =
      iteration.policy_checkpoint_id == iteration.reference_checkpoint_id;
  Progress progress("reference log-probs", static_cast<std::int64_t>(pairs.size()), "pairs");
  SamplerGap gap;
  for (std::size_t begin = 0; begin < pairs.size(); begin += kUnitPairs) {
    const std::size_t end = std::min(pairs.size(), begin + kUnitPairs);
    const auto is_done = [&](std::size_t i) {
      return store::find_reference_logps(context.db, selection.pairs[i].chosen_id, reference) &&
             store::find_reference_logps(context.db, selection.pairs[i].rejected_id, reference);
    };
    bool all_done = true;
    for (std::size_t i = begin; i < end; ++i) all_done = all_done && is_done(i);
    if (!all_done) {
      std::vector<const TrainingPair*> unit;
      for (std::size_t i = begin; i < end; ++i) unit.push_back(&pairs[i]);
      PairLogps logps =
          pair_logps(context.frozen(reference), unit, context.config.train.micro_batch_tokens);
      store::Transaction transaction(context.db);
      for (std::size_t i = begin; i < end; ++i) {
        const store::PairRow& row = selection.pairs[i];
        if (sampled_by_reference) {
          gap.add(*store::find_sample(context.db, row.chosen_id), logps.chosen[i - begin]);
          gap.add(*store::find_sample(context.db, row.rejected_id), logps.rejected[i - begin]);
        }
        store_logps(context, row.chosen_id, reference, std::move(logps.chosen[i - begin]));
        store_logps(context, row.rejected_id, reference, std::move(logps.rejected[i - begin]));
      }
      transaction.commit();
    }
    progress.set(static_cast<std::int64_t>(end));
  }
  if (gap.tokens > 0) {
    const std::string message =
        cat("sampler and trainer log-probs differ by ", gap.sum / static_cast<double>(gap.tokens),
            " nats a token on average, at most ", gap.largest, ", over ", gap.tokens, " tokens");
    log::info(message);
    store::add_event(context.db, context.run.id, iteration.id, "info", "sampler_gap", message);
  }
}

}  // namespace plumb
