#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "pipeline/run_context.hpp"

namespace plumb {

/// Components and labels of a score as the store keeps them: one JSON object.
std::string components_json(const Score& score);

/// Scores responses by a module and stores score, components and token values, a unit of
/// score.unit responses at a time. Units are fixed slices of the sample ids, so that a resumed run
/// scores the same responses together.
/// @param title  of the progress line   @param sample_ids  ascending
/// @return responses that got no score: their reason is stored in its place
std::int64_t score_responses(RunContext& context, const RunContext::Module& module,
                             const std::string& title, std::span<const std::int64_t> sample_ids);

}  // namespace plumb
