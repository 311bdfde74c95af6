#include "pipeline/loop.hpp"

#include <algorithm>
#include <cmath>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/iterations.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/run_prompts.hpp"
#include "pipeline/sft_stage.hpp"

namespace plumb {
namespace {

std::size_t position_of(const std::string& phase) {
  if (phase == "done") return phase_names().size();
  const auto it = std::find(phase_names().begin(), phase_names().end(), phase);
  expects(it != phase_names().end(), "a known phase");
  return static_cast<std::size_t>(it - phase_names().begin());
}

std::string phase_after(const std::string& phase) {
  const std::size_t next = position_of(phase) + 1;
  return next < phase_names().size() ? phase_names()[next] : "done";
}

void run_phase(RunContext& context, store::Iteration& iteration, const std::string& phase) {
  if (phase == "rollout") run_rollout_phase(context, iteration);
  if (phase == "score") run_score_phase(context, iteration);
  if (phase == "pair") run_pair_phase(context, iteration);
  if (phase == "annotate") run_annotate_phase(context, iteration);
  if (phase == "train")
    iteration.index == 0 ? run_sft_stage(context, iteration) : run_train_phase(context, iteration);
  if (phase == "eval") run_eval_phase(context, iteration);
}

void finish_iteration(RunContext& context, const store::Iteration& iteration, bool train) {
  std::string phase = iteration.phase;
  store::Iteration current = iteration;
  if (train && phase != "done")
    log::info(cat("iteration ", iteration.index, " of ", context.config.run.iterations));
  while (phase != "done") {
    run_phase(context, current, phase);
    phase = phase_after(phase);
    store::set_iteration_phase(context.db, iteration.id, phase);
  }
  context.db.checkpoint(true);
}

/// Tries failed scores of finished iterations again. Evaluations that compare with a response that
/// has a score now are computed again.
void retry_finished(RunContext& context) {
  bool stale = false;
  for (const store::Iteration& iteration : store::iterations(context.db, context.run.id)) {
    if (iteration.phase != "done") break;
    const bool healed = retry_failed_scores(context, iteration) > 0;
    stale = stale || healed;
    if (stale) run_eval_phase(context, iteration);
  }
}

}  // namespace

const std::vector<std::string>& phase_names() {
  static const std::vector<std::string> names{"rollout",  "score", "pair",
                                              "annotate", "train", "eval"};
  return names;
}

void run_loop(RunContext& context) {
  store_run_prompts(context);
  const auto last =
      store::find_iteration(context.db, context.run.id, context.config.run.iterations);
  const bool was_done = last && last->phase == "done";
  if (!was_done) {
    store::set_run_status(context.db, context.run.id, "running");
    // A reward that cannot be made should say so before anything is sampled for it.
    const store::Iteration first = current_iteration(context);
    for (const std::string& name : context.config.score.modules) context.reward(name, first);
  }
  retry_finished(context);
  const double start = monotonic_seconds();
  for (std::int64_t index = 0; index <= context.config.run.iterations; ++index) {
    finish_iteration(context, ensure_iteration(context, index), index > 0);
  }
  store::set_run_status(context.db, context.run.id, "done");
  const std::string where = cat(" (", context.db.file().string(), ")");
  if (was_done) {
    log::info(cat("run ", context.run.name, " is complete: ", context.config.run.iterations,
                  " iterations", where));
  } else {
    log::info(cat("run ", context.run.name, " done in ", std::lround(monotonic_seconds() - start),
                  " s", where));
  }
}

void run_single_phase(RunContext& context, const std::string& phase, std::int64_t index) {
  store_run_prompts(context);
  store::Iteration iteration =
      index >= 0 ? ensure_iteration(context, index) : current_iteration(context);
  const bool supervised = !context.config.sft.data.empty();
  if (iteration.index == 0 && phase != "eval" && phase != "score" &&
      !(phase == "train" && supervised)) {
    throw UsageError(cat("plumb ", phase, ": iteration 0 is the initial policy, it has no phase ",
                         phase, "; run `plumb ", iteration.phase,
                         "` first, iteration 1 begins after it"));
  }
  const std::size_t asked = position_of(phase), stands = position_of(iteration.phase);
  if (asked > stands) {
    throw UsageError(cat("plumb ", phase, ": iteration ", iteration.index, " stands at phase ",
                         iteration.phase, "; run `plumb ", iteration.phase, "` first"));
  }
  run_phase(context, iteration, phase);
  if (asked == stands) store::set_iteration_phase(context.db, iteration.id, phase_after(phase));
  log::info(cat("iteration ", iteration.index, ": ", phase, " is done"));
}

std::string plan_text(const RunContext& context) {
  const RunConfig& config = context.config;
  const auto count = [&](const std::string& use, std::int64_t index) {
    return static_cast<std::int64_t>(
        store::run_prompts(context.db, context.run.id, use, index).size());
  };
  std::int64_t train = 0;
  for (std::int64_t index = 1; index <= config.run.iterations; ++index)
    train += count("train", index);
  const std::int64_t heldout = count(kHeldout, 0);
  const std::int64_t suites = config.eval.cool_temperature > 0.0 ? 2 : 1;
  const std::int64_t evaluations = config.eval.when == "all" ? config.run.iterations + 1 : 2;
  const std::int64_t parameters = context.model_config().parameter_count();
  return cat("run       ", config.run.name, " in ", context.folder.string(), "\nmodel     ",
             config.model.path, ", ", parameters / 1000000, " M parameters\nprompts   ", train,
             " for training over ", config.run.iterations, " iterations, ", heldout,
             " held out\nsamples   ", train * config.rollout.samples_per_prompt, " for training, ",
             heldout * config.eval.samples * suites * evaluations, " for evaluation, at most ",
             config.sampling.max_new_tokens, " tokens each\npairs     at most ", train, " by ",
             config.pair.rule, ", ", config.train.batch_size, " a step\nmemory    about ",
             parameters * 22 / 1000000,
             " MB for training (weights, gradients, moments, compute copies), activations "
             "beside\ndisk      about ",
             parameters * (config.train.save_dtype == "float32" ? 4 : 2) / 1000000,
             " MB for each saved policy\n");
}

}  // namespace plumb
