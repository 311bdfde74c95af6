#pragma once
#include "pipeline/run_context.hpp"

namespace plumb {

/// The iteration's row, made when the one before it is done. Iteration 0 makes the initial policy,
/// if there is a supervised stage, and evaluates it; imported pairs hang on it.
store::Iteration ensure_iteration(RunContext& context, std::int64_t index);
/// The first iteration that is not done, or the last one.
store::Iteration current_iteration(RunContext& context);

}  // namespace plumb
