#pragma once
#include "pipeline/run_context.hpp"

namespace plumb {

/// The supervised stage before iteration 1: trains the base model on prompts with answers (section
/// `sft`), NLL per answer token, and makes the result iteration 0's policy, which the loop then
/// starts from. Resumable like any training. Every row that is not used is stored with its reason.
/// Throws DataError for rows that cannot be read or are too long, as data.bad_rows and
/// data.truncation say.
void run_sft_stage(RunContext& context, store::Iteration& iteration);

}  // namespace plumb
