#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "losses/registry.hpp"
#include "pipeline/pair_data.hpp"
#include "pipeline/pair_inputs.hpp"
#include "pipeline/phases.hpp"
#include "store/training.hpp"
#include "train/trainer.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

std::int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

fs::path state_folder(const RunContext& context, const store::Iteration& iteration) {
  return context.folder / "training" / cat("iter-", iteration.index);
}

/// What must hold before the first update; a violation means that training would be on wrong
/// numbers.
void check_truths(const RunContext& context, const std::vector<TrainingPair>& pairs,
                  std::int64_t too_long) {
  std::int64_t double_bos = 0, ends = 0, responses = 0, cut = 0;
  const auto bos = context.model_config().bos;
  for (const TrainingPair& pair : pairs) {
    if (bos && pair.prompt.size() > 1 && pair.prompt[0] == *bos && pair.prompt[1] == *bos)
      ++double_bos;
    for (const auto* side : {&pair.chosen, &pair.rejected}) {
      ++responses;
      const auto& end_ids = context.end_ids();
      const bool ended =
          std::find(end_ids.begin(), end_ids.end(), side->ids.back()) != end_ids.end();
      ends += ended;
      cut += !ended;
    }
  }
  if (double_bos > 0)
    throw DataError(cat(
        double_bos,
        " prompts begin with two BOS tokens: the chat template and the tokenizer both add one"));
  log::info(cat("truth check: ", ends, " of ", responses,
                " responses end with EOS (it is trained on), ", cut,
                " were cut at rollout.max_new_tokens, ", too_long,
                " pairs longer than train.max_length left out"));
}

/// While policy and reference are the same model, their log-probs must agree; anything else is a
/// wrong reference.
void check_first_step(const RunContext& context, const StepResult& result) {
  const double allowed = context.precision() == kernels::Precision::kFloat32 ? 1e-3 : 2e-2;
  if (result.max_reference_gap <= allowed) return;
  throw DataError(
      cat("truth check before the first update: a policy log-prob differs from the stored "
          "reference by ",
          result.max_reference_gap, " nats although both are the same model (allowed ", allowed,
          "). The stored reference log-probs belong to another model or template"));
}

void store_step(RunContext& context, const store::Iteration& iteration, std::int64_t global_step,
                const StepResult& result, double seconds) {
  store::StepRow row;
  row.run_id = context.run.id;
  row.iteration_id = iteration.id;
  row.global_step = global_step;
  row.epoch = result.epoch;
  row.learning_rate = result.learning_rate;
  row.loss = result.loss;
  row.grad_norm = result.grad_norm;
  row.tokens = result.tokens;
  row.wall_ms = static_cast<std::int64_t>(1000 * seconds);
  row.rss_bytes = peak_rss_bytes();
  row.metrics = result.metrics;
  for (const StepResult::Pair& pair : result.pairs)
    row.ledger.push_back({pair.id, pair.loss, pair.margin, pair.logp_chosen, pair.logp_rejected});
  store::add_step(context.db, row);
}

double metric(const StepResult& result, const std::string& name) {
  for (const auto& [key, value] : result.metrics) {
    if (key == name) return value;
  }
  return 0.0;
}

std::int64_t steps_before(const RunContext& context, const store::Iteration& iteration) {
  auto query = context.db.prepare(
      "SELECT coalesce(max(s.global_step),0) FROM steps s JOIN iterations i USING(iteration_id) "
      "WHERE s.run_id=? AND i.idx<?");
  query.bind(context.run.id, iteration.index).step();
  return query.integer(0);
}

}  // namespace

void run_train_phase(RunContext& context, store::Iteration& iteration) {
  expects(iteration.policy_checkpoint_id && iteration.reference_checkpoint_id,
          "an iteration with policy and reference");
  if (iteration.result_checkpoint_id) return;
  const PairSelection selection = select_pairs(context, iteration);
  std::vector<TrainingPair> pairs = load_pairs(context, selection.pairs);
  const std::unique_ptr<PreferenceLoss> loss =
      make_loss(context.config.loss, context.config.values);
  add_loss_inputs(context, loss->needs(), iteration, selection.pairs, pairs);
  if (pairs.empty())
    throw DataError(cat("iteration ", iteration.index,
                        ": no pair is left to train on; see `plumb sql ",
                        context.db.file().string(), " @skips`"));
  check_truths(context, pairs, selection.too_long);

  const std::int64_t policy_id = *iteration.policy_checkpoint_id;
  const bool starts_at_reference = policy_id == *iteration.reference_checkpoint_id;
  Decoder& policy = context.trainable(policy_id);
  const Decoder* reference =
      loss->needs().kl ? &context.separate(*iteration.reference_checkpoint_id) : nullptr;
  Trainer trainer(
      policy, *loss, context.config.train, pairs,
      static_cast<std::uint64_t>(context.run.seed) + static_cast<std::uint64_t>(iteration.index),
      reference);
  const fs::path state = state_folder(context, iteration);
  if (fs::exists(state)) {
    trainer.load_state(state);
    log::info(
        cat("training goes on after step ", trainer.steps_done(), " of ", trainer.total_steps()));
  }
  const std::int64_t base = steps_before(context, iteration);
  store::remove_steps_after(context.db, context.run.id, iteration.id, base + trainer.steps_done());

  Progress progress("train", trainer.total_steps(), "steps");
  const std::int64_t save_steps = context.config.train.save_steps;
  while (trainer.steps_done() < trainer.total_steps()) {
    const double start = monotonic_seconds();
    StepResult result;
    try {
      context.trainable_is_now(0);
      result = trainer.step();
    } catch (const DataError& error) {
      store::add_event(context.db, context.run.id, iteration.id, "error", "training", error.what());
      throw;
    }
    if (result.step == 1 && starts_at_reference && loss->needs().reference)
      check_first_step(context, result);
    store_step(context, iteration, base + result.step, result, monotonic_seconds() - start);
    progress.note(cat("loss ", std::round(1e4 * result.loss) / 1e4, ", margin ",
                      std::round(1e3 * metric(result, "rewards/margins")) / 1e3));
    progress.set(result.step);
    if (save_steps > 0 && result.step % save_steps == 0 && result.step < trainer.total_steps())
      trainer.save_state(state);
  }

  const store::CheckpointRow saved = context.save_policy(
      context.folder / "policy" / cat("iter-", iteration.index < 10 ? "0" : "", iteration.index));
  store::Transaction transaction(context.db);
  store::CheckpointRow row = saved;
  row.parent_id = policy_id;
  row.global_step = base + trainer.total_steps();
  const std::int64_t checkpoint_id = store::add_checkpoint(context.db, row);
  store::set_iteration_result(context.db, iteration.id, checkpoint_id);
  transaction.commit();
  iteration.result_checkpoint_id = checkpoint_id;
  if (context.config.train.save_dtype == "float32") {
    context.trainable_is_now(checkpoint_id);
  } else {
    context.drop_trainable();
  }
  std::error_code ignored;
  fs::remove_all(state, ignored);
}

}  // namespace plumb
