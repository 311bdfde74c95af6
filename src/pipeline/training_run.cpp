#include "pipeline/training_run.hpp"

#include <sys/resource.h>

#include <cmath>
#include <filesystem>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "store/training.hpp"

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
  if (iteration.index > 0) {
    for (const StepResult::Pair& pair : result.pairs) {
      row.ledger.push_back({pair.id, pair.loss, pair.margin, pair.logp_chosen, pair.logp_rejected});
      const std::vector<double>& kept = pair.history;
      if (!kept.empty())
        row.ledger.back().target = {kept.at(0), kept.at(1), static_cast<std::int64_t>(kept.at(2))};
    }
  }
  store::add_step(context.db, row);
}

double metric(const StepResult& result, const std::string& name) {
  for (const auto& [key, value] : result.metrics) {
    if (key == name) return value;
  }
  return 0.0;
}

std::string note(const store::Iteration& iteration, const StepResult& result) {
  const std::string loss = cat("loss ", std::round(1e4 * result.loss) / 1e4);
  if (iteration.index == 0) return loss;
  return cat(loss, ", margin ", std::round(1e3 * metric(result, "rewards/margins")) / 1e3);
}

std::int64_t steps_before(const RunContext& context, const store::Iteration& iteration) {
  auto query = context.db.prepare(
      "SELECT coalesce(max(s.global_step),0) FROM steps s JOIN iterations i USING(iteration_id) "
      "WHERE s.run_id=? AND i.idx<?");
  query.bind(context.run.id, iteration.index).step();
  return query.integer(0);
}

}  // namespace

void run_training(RunContext& context, store::Iteration& iteration, Trainer& trainer,
                  const std::function<void(const StepResult&)>& check) {
  const fs::path state = state_folder(context, iteration);
  if (fs::exists(state)) {
    trainer.load_state(state);
    log::info(
        cat("training goes on after step ", trainer.steps_done(), " of ", trainer.total_steps()));
  }
  const std::int64_t base = steps_before(context, iteration);
  store::remove_steps_after(context.db, context.run.id, iteration.id, base + trainer.steps_done());

  Progress progress(iteration.index == 0 ? "sft" : "train", trainer.total_steps(), "steps");
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
    check(result);
    store_step(context, iteration, base + result.step, result, monotonic_seconds() - start);
    progress.note(note(iteration, result));
    progress.set(result.step);
    if (save_steps > 0 && result.step % save_steps == 0 && result.step < trainer.total_steps())
      trainer.save_state(state);
  }

  const store::CheckpointRow saved = context.save_policy(
      context.folder / "policy" / cat("iter-", iteration.index < 10 ? "0" : "", iteration.index));
  store::Transaction transaction(context.db);
  store::CheckpointRow row = saved;
  row.parent_id = *iteration.policy_checkpoint_id;
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
