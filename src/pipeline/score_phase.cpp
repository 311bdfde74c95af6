#include <algorithm>

#include "core/error.hpp"
#include "core/log.hpp"
#include "pipeline/degraded_rollout.hpp"
#include "pipeline/imported_pairs.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/scoring.hpp"
#include "store/rewards.hpp"

namespace plumb {

namespace {

/// Responses without a score by the module: the iteration's own, and imported ones.
std::vector<std::int64_t> unscored(const RunContext& context, const store::Iteration& iteration,
                                   const RunContext::Module& module) {
  const auto& train_only = context.config.score.train_modules;
  const std::string name = module.module->info().name;
  const bool all_suites = std::find(train_only.begin(), train_only.end(), name) == train_only.end();
  std::vector<std::int64_t> out;
  const auto take = [&](const std::vector<std::int64_t>& part) {
    out.insert(out.end(), part.begin(), part.end());
  };
  if (context.config.imports_pairs() && iteration.index > 0) {
    const auto zero = store::find_iteration(context.db, context.run.id, 0);
    expects(zero.has_value(), "an initial iteration");
    take(store::unscored_samples(context.db, zero->id, module.id, kImportSuite));
    if (all_suites) take(store::unscored_samples(context.db, zero->id, module.id, kHeldoutPairs));
  }
  if (all_suites) {
    take(store::unscored_samples(context.db, iteration.id, module.id));
  } else {
    for (const char* suite : {"train", kDegraded})
      take(store::unscored_samples(context.db, iteration.id, module.id, suite));
  }
  return out;
}

}  // namespace

void score_missing(RunContext& context, const RunContext::Module& module,
                   const store::Iteration& iteration) {
  const std::string name = module.module->info().name;
  const std::vector<std::int64_t> missing = unscored(context, iteration, module);
  if (missing.empty()) return;
  const std::int64_t failures = score_responses(context, module, cat("score ", name), missing);
  if (failures > 0) {
    log::warn(cat(failures, " of ", missing.size(), " responses got no score from ", name,
                  "; they stay out of pairs and are tried again on the next run (see the column "
                  "`error` of v_rewards)"));
  }
}

void run_score_phase(RunContext& context, const store::Iteration& iteration) {
  for (const std::string& name : context.config.score.modules)
    score_missing(context, context.reward(name, iteration), iteration);
  context.db.checkpoint();
}

std::int64_t retry_failed_scores(RunContext& context, const store::Iteration& iteration) {
  std::int64_t healed = 0;
  const std::vector<std::string> failing = store::failing_modules(context.db, iteration.id);
  for (const std::string& name : context.config.score.modules) {
    if (std::find(failing.begin(), failing.end(), name) == failing.end()) continue;
    const RunContext::Module& module = context.reward(name, iteration);
    const std::vector<std::int64_t> ids =
        store::failed_samples(context.db, iteration.id, module.id);
    if (ids.empty()) continue;
    const std::int64_t failures =
        score_responses(context, module, cat("score ", name, " again"), ids);
    const auto now = static_cast<std::int64_t>(ids.size()) - failures;
    healed += now;
    log::warn(cat("iteration ", iteration.index, ": ", now, " of ", ids.size(),
                  " responses without a score from ", name,
                  " have one now; pairs that were made before stay as they are"));
  }
  return healed;
}

}  // namespace plumb
