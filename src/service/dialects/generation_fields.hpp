#pragma once
#include <optional>
#include <string>
#include <vector>

#include "service/dialect.hpp"

namespace plumb::service {

/// The fields that /v1/completions and /v1/chat/completions share.
struct GenerationFields {
  SamplingOptions sampling;
  std::int64_t max_tokens = 0;  // may be 0: nothing is generated
  std::int64_t samples = 1;
  std::optional<std::uint64_t> seed;
  std::int64_t top_logprobs = -1;  // -1: no log-probs wanted
  bool stream = false, include_usage = false, tokens_as_ids = false;
};
/// @param longest  tokens that the longest prompt leaves in the model's context
/// @param default_max  max_tokens of a request that names none. Throws Problem.
GenerationFields generation_fields(const nlohmann::json& body, std::int64_t longest,
                                   std::int64_t default_max);

}  // namespace plumb::service
