#include "core/error.hpp"
#include "core/log.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/scoring.hpp"
#include "store/rewards.hpp"

namespace plumb {

void run_score_phase(RunContext& context, const store::Iteration& iteration) {
  for (const std::string& name : context.config.score.modules) {
    const RunContext::Module& module = context.reward(name);
    const std::vector<std::int64_t> missing =
        store::unscored_samples(context.db, iteration.id, module.id);
    if (missing.empty()) continue;
    const std::int64_t failures = score_responses(context, module, cat("score ", name), missing);
    if (failures > 0) {
      log::warn(cat(failures, " of ", missing.size(), " responses got no score from ", name,
                    "; they stay out of pairs and are tried again on the next run (see the column "
                    "`error` of v_rewards)"));
    }
  }
  context.db.checkpoint();
}

}  // namespace plumb
