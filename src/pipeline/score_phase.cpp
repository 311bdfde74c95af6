#include "core/error.hpp"
#include "core/log.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/scoring.hpp"
#include "store/rewards.hpp"

namespace plumb {

void score_missing(RunContext& context, const RunContext::Module& module,
                   const store::Iteration& iteration) {
  const std::vector<std::int64_t> missing =
      store::unscored_samples(context.db, iteration.id, module.id);
  if (missing.empty()) return;
  const std::string name = module.module->info().name;
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

}  // namespace plumb
