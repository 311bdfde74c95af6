#pragma once
#include <string>

#include "pipeline/run_context.hpp"

namespace plumb {

/// Runs the loop from where the store says it stands until run.iterations are done. Every phase
/// finds what is missing and does it, so a killed run ends in the same rows and weights as one that
/// was never stopped.
void run_loop(RunContext& context);

/// Runs one phase of the current iteration (or of `iteration` >= 0). A phase before the current one
/// may run again where that adds something: score (another module), pair (another pair set). Throws
/// UsageError if an earlier phase is not done.
void run_single_phase(RunContext& context, const std::string& phase, std::int64_t iteration);

/// What a run would do, without doing it: prompts, responses, pairs, steps, sizes.
std::string plan_text(const RunContext& context);

}  // namespace plumb
