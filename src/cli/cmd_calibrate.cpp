#include <iostream>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "pipeline/run_context.hpp"
#include "rewards/r3.hpp"
#include "rewards/r3_calibration.hpp"

namespace plumb::cli {
namespace {

/// Every sampled response to a prompt with a reference answer.
std::vector<AnsweredReference> answered_references(const store::Database& db, std::int64_t run_id) {
  auto query = db.prepare(
      "SELECT p.reference_answer, s.text FROM samples s JOIN iterations i USING(iteration_id) JOIN "
      "prompts p USING(prompt_id) "
      "WHERE i.run_id=? AND p.reference_answer IS NOT NULL ORDER BY s.sample_id");
  query.bind(run_id);
  std::vector<AnsweredReference> pairs;
  while (query.step()) pairs.push_back({query.text(0), query.text(1)});
  return pairs;
}

}  // namespace

int calibrate_command(const Arguments& arguments) {
  RunContext context(RunConfig::from(read_run_config(arguments).values()), "calibrate");
  const std::vector<AnsweredReference> pairs = answered_references(context.db, context.run.id);
  if (pairs.empty()) {
    throw DataError(cat(context.db.file().string(),
                        ": holds no sampled response to a prompt with a reference answer; run "
                        "`plumb rollout` first"));
  }
  RewardContext models(context.config.sampling.max_new_tokens, resolve_model);
  const auto module = R3Reward::make(context.config.values.read<R3Options>("r3"), models);
  const R3Calibration fit = calibrate_r3(*module, pairs);
  log::info(
      cat("measured ", fit.measured, " (reference, response) pairs, ", fit.skipped, " skipped"));
  for (const auto& [share, value] : fit.quantiles)
    log::info(cat("  quantile ", share, ": ", value));
  std::cout << fit.config();
  return 0;
}

}  // namespace plumb::cli
