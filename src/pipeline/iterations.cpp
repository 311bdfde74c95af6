#include "pipeline/iterations.hpp"

#include "core/error.hpp"
#include "pipeline/phases.hpp"

namespace plumb {

store::Iteration ensure_iteration(RunContext& context, std::int64_t index) {
  if (std::optional<store::Iteration> found =
          store::find_iteration(context.db, context.run.id, index))
    return *found;
  store::Iteration row;
  row.run_id = context.run.id;
  row.index = index;
  const bool supervised = !context.config.sft.data.empty();
  row.phase = index > 0 ? "rollout" : supervised ? "train" : "eval";
  row.policy_checkpoint_id = context.base_checkpoint();
  if (index > 0) {
    const std::optional<store::Iteration> before =
        store::find_iteration(context.db, context.run.id, index - 1);
    if (!before || !before->result_checkpoint_id) {
      throw UsageError(cat("iteration ", index,
                           ": the one before it has not ended yet; `plumb run` "
                           "goes on where the run stands"));
    }
    row.policy_checkpoint_id = before->result_checkpoint_id;
    row.reference_checkpoint_id = context.reference_checkpoint(*row.policy_checkpoint_id);
  } else if (!supervised) {
    row.result_checkpoint_id = context.base_checkpoint();
  }
  store::create_iteration(context.db, row, sampling_json(context.config));
  return *store::find_iteration(context.db, context.run.id, index);
}

store::Iteration current_iteration(RunContext& context) {
  ensure_iteration(context, 0);
  for (std::int64_t index = 0;; ++index) {
    const store::Iteration iteration = ensure_iteration(context, index);
    if (iteration.phase != "done" || index >= context.config.run.iterations) return iteration;
  }
}

}  // namespace plumb
