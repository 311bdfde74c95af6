#include <iostream>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"
#include "pipeline/run_context.hpp"
#include "rewards/hidden_relevance.hpp"
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

/// Distinct prompts, reference answers and responses of the run.
std::vector<std::string> stored_texts(const store::Database& db, std::int64_t run_id) {
  auto query = db.prepare(
      "SELECT s.text FROM samples s JOIN iterations i USING(iteration_id) WHERE i.run_id=:run "
      "UNION SELECT json_extract(m.value, '$.content') FROM run_prompts u JOIN prompts p "
      "USING(prompt_id), json_each(p.messages) m WHERE u.run_id=:run AND "
      "json_extract(m.value, '$.role')='user' "
      "UNION SELECT p.reference_answer FROM run_prompts u JOIN prompts p USING(prompt_id) WHERE "
      "u.run_id=:run AND p.reference_answer IS NOT NULL");
  query.bind(run_id);
  std::vector<std::string> texts;
  while (query.step()) {
    if (!query.text(0).empty() && is_valid_utf8(query.text(0))) texts.push_back(query.text(0));
  }
  return texts;
}

/// Measures and writes the mean state that backend lm_hidden subtracts (r3.mean_vec).
void write_mean_of_run(const RunContext& context, const R3Options& options, RewardContext& models) {
  if (options.lm.empty())
    throw UsageError("r3.backend = lm_hidden: name a language model in r3.lm");
  const HiddenRelevance backend(models.language_model(options.lm, "r3.lm"), {}, options.keep_end);
  const std::vector<std::string> texts = stored_texts(context.db, context.run.id);
  write_mean_state(options.mean_vec, mean_state(backend, texts));
  log::info(cat("wrote the mean state of ", texts.size(), " texts to ", options.mean_vec));
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
  models.share([&](const std::string& name) {
    return name == "initial" || name == "base"
               ? context.language_model(context.initial_checkpoint())
               : context.base_model_at(name);
  });
  const auto options = context.config.values.read<R3Options>("r3");
  if (options.backend == "lm_hidden" && !options.mean_vec.empty()) {
    write_mean_of_run(context, options, models);
  }
  const R3Calibration fit = calibrate_r3(*R3Reward::make(options, models), pairs);
  log::info(
      cat("measured ", fit.measured, " (reference, response) pairs, ", fit.skipped, " skipped"));
  for (const auto& [share, value] : fit.quantiles)
    log::info(cat("  quantile ", share, ": ", value));
  store::add_event(context.db, context.run.id, std::nullopt, "info", "calibrate",
                   cat("F of R^3: relevance 0 to ", fit.in_end, " becomes 0 to ", fit.out_end),
                   fit.json());
  std::cout << fit.config();
  return 0;
}

}  // namespace plumb::cli
