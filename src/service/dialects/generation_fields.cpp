#include "service/dialects/generation_fields.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "service/body_fields.hpp"

namespace plumb::service {
namespace {

constexpr std::int64_t kMaxSamples = 128, kMaxTopLogprobs = 20, kMaxStops = 16;

std::int64_t max_tokens_of(const nlohmann::json& body, std::int64_t fallback) {
  for (const char* name : {"max_completion_tokens", "max_tokens"}) {
    if (find_field(body, name) != nullptr) return integer_field(body, name, fallback, 0, 1'000'000);
  }
  return fallback;
}

/// Completions give a number; chats a flag and `top_logprobs`.
std::int64_t logprobs_of(const nlohmann::json& body) {
  const nlohmann::json* value = find_field(body, "logprobs");
  if (value == nullptr) return -1;
  if (!value->is_boolean()) return integer_field(body, "logprobs", -1, 0, kMaxTopLogprobs);
  return value->get<bool>() ? integer_field(body, "top_logprobs", 0, 0, kMaxTopLogprobs) : -1;
}

}  // namespace

GenerationFields generation_fields(const nlohmann::json& body, std::int64_t longest,
                                   std::int64_t default_max) {
  GenerationFields fields;
  fields.max_tokens = max_tokens_of(body, std::min(default_max, longest));
  if (fields.max_tokens > longest)
    throw Problem(400,
                  cat("\"max_tokens\" = ", fields.max_tokens, ": the prompt leaves ",
                      std::max<std::int64_t>(longest, 0), " tokens of the model's context"),
                  "max_tokens");
  SamplingOptions& sampling = fields.sampling;
  sampling.max_new_tokens = std::max<std::int64_t>(fields.max_tokens, 1);
  sampling.temperature = number_field(body, "temperature", 1, 0, 100);
  sampling.top_p = number_field(body, "top_p", 1, 0, 1);
  sampling.top_k = integer_field(body, "top_k", 0, -1, 1'000'000'000);
  sampling.min_p = number_field(body, "min_p", 0, 0, 1);
  sampling.repetition_penalty = number_field(body, "repetition_penalty", 1, 0.01, 100);
  sampling.min_new_tokens = integer_field(body, "min_tokens", 0, 0, sampling.max_new_tokens);
  if (const nlohmann::json* stop = find_field(body, "stop"))
    sampling.stop = one_or_more_texts(*stop, "stop");
  if (static_cast<std::int64_t>(sampling.stop.size()) > kMaxStops)
    throw Problem(400, cat("\"stop\": more than ", kMaxStops, " texts"), "stop");
  for (const char* name : {"presence_penalty", "frequency_penalty"}) {
    if (number_field(body, name, 0, -2, 2) != 0)
      throw Problem(400, cat("\"", name, "\" is not supported; repetition_penalty is"), name);
  }
  fields.samples = integer_field(body, "n", 1, 1, kMaxSamples);
  if (find_field(body, "seed") != nullptr)
    fields.seed = static_cast<std::uint64_t>(
        integer_field(body, "seed", 0, -9'000'000'000'000'000, 9'000'000'000'000'000));
  fields.top_logprobs = logprobs_of(body);
  fields.stream = bool_field(body, "stream", false);
  fields.tokens_as_ids = bool_field(body, "return_tokens_as_token_ids", false);
  if (const nlohmann::json* options = find_field(body, "stream_options")) {
    if (!options->is_object())
      throw Problem(400, "\"stream_options\": expected an object", "stream_options");
    fields.include_usage = bool_field(*options, "include_usage", false);
  }
  return fields;
}

}  // namespace plumb::service
