#pragma once
#include "pipeline/run_context.hpp"

namespace plumb {

/// Suite of the responses, use of the prompts they really answered, and name of the rule.
inline constexpr const char* kDegraded = "degraded";

/// Samples as many responses to each training prompt with its context spoilt (options of section
/// `degrade`). They belong to the original prompt, are scored for it, and take the same random
/// numbers as the ordinary responses of the same number, so that the two differ where the context
/// matters. The spoilt prompts are stored: run_prompts with use `degraded`, in the places of the
/// originals.
void sample_degraded(RunContext& context, const store::Iteration& iteration);

}  // namespace plumb
