#include <algorithm>

#include "core/error.hpp"
#include "core/log.hpp"
#include "losses/registry.hpp"
#include "pipeline/pair_data.hpp"
#include "pipeline/pair_inputs.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/training_run.hpp"

namespace plumb {
namespace {

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
  run_training(context, iteration, trainer, [&](const StepResult& result) {
    if (result.step == 1 && starts_at_reference && loss->needs().reference)
      check_first_step(context, result);
  });
}

}  // namespace plumb
