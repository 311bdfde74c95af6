#pragma once
#include <functional>

#include "pipeline/run_context.hpp"
#include "train/trainer.hpp"

namespace plumb {

/// Runs an iteration's training from where it stands to its end: stores every step (with the
/// pairs' ledger, but for the supervised stage of iteration 0, whose rows are no pairs), training
/// states every train.save_steps, and the resulting policy as the child of the iteration's.
/// @param trainer  over context.trainable() of the iteration's policy
/// @param check    sees each step's result before it is stored, and may throw
void run_training(RunContext& context, store::Iteration& iteration, Trainer& trainer,
                  const std::function<void(const StepResult&)>& check);

}  // namespace plumb
