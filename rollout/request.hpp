#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "rollout/sampling.hpp"

namespace plumb {

enum class FinishReason { kStop, kLength };

/// A prompt to continue, and where its random numbers come from.
struct RolloutRequest {
  std::vector<std::int32_t> prompt_ids;  // at least one token
  std::int64_t samples = 1;              // K
  std::int64_t first_sample = 0;         // sample indices are first_sample .. first_sample+K-1
  std::uint64_t stream = 0;              // item of the RandomStream, e.g. the prompt's content hash
  std::vector<std::int64_t> limits;  // [K] own max_new_tokens of each sample; empty: the options'
  // What differs from the other requests of the call; empty: the call's own.
  std::optional<SamplingOptions> sampling{};
  std::optional<std::uint64_t> seed{};
  std::int64_t top_logprobs = 0;  // likeliest tokens that are noted at each place
  // Prompt of each guiding model, in their order; empty: they see prompt_ids, too.
  std::vector<std::vector<std::int32_t>> guide_prompts;
};

/// Where the requests of a generation come from: the next one, or nullptr if there is none now. A
/// request must live until the last of its samples is done.
using RequestSource = std::function<const RolloutRequest*()>;

/// A token and its log-prob under the policy, nats.
using LikelyToken = std::pair<std::int32_t, float>;

struct RolloutResponse {
  std::size_t request = 0;           // index into the requests; their number in order of coming
  std::int64_t sample = 0;           // sample index
  std::vector<std::int32_t> ids;     // with the EOS id if finish is kStop by EOS
  std::vector<float> logp_policy;    // nats, under the policy: no temperature, no filters
  std::vector<float> logp_sampling;  // nats, under the distribution that was sampled from
  std::vector<std::vector<LikelyToken>>
      top;  // [tokens][top_logprobs] if asked for, likeliest first
  FinishReason finish = FinishReason::kLength;
};

struct RolloutStats {
  std::int64_t prompt_tokens = 0, generated_tokens = 0, steps = 0;
  double prefill_seconds = 0, decode_seconds = 0;
};

}  // namespace plumb
