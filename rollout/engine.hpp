#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "model/decoder.hpp"
#include "rollout/sampling.hpp"
#include "text/tokenizer.hpp"

namespace plumb {

enum class FinishReason { kStop, kLength };

/// A prompt to continue, and where its random numbers come from.
struct RolloutRequest {
  std::vector<std::int32_t> prompt_ids;  // at least one token
  std::int64_t samples = 1;              // K
  std::int64_t first_sample =
      0;  // number of the first sample: sample indices are first_sample .. first_sample+K-1
  std::uint64_t stream = 0;  // item of the RandomStream, e.g. the prompt's content hash
};

struct RolloutResponse {
  std::size_t request = 0;           // index into the requests
  std::int64_t sample = 0;           // sample index
  std::vector<std::int32_t> ids;     // with the EOS id if finish is kStop by EOS
  std::vector<float> logp_policy;    // log-prob under the untempered model distribution, nats
  std::vector<float> logp_sampling;  // log-prob under the distribution that was sampled from
                                     // (temperature, filters), nats
  FinishReason finish = FinishReason::kLength;
};

struct RolloutStats {
  std::int64_t prompt_tokens = 0, generated_tokens = 0, steps = 0;
  double prefill_seconds = 0, decode_seconds = 0;
};

/// Samples responses with continuous batching: a finished row is replaced at once by the next
/// sample. Random numbers are addressed by (seed, iteration, stream, sample, position), so a
/// response does not depend on what else is in the batch.
class RolloutEngine {
 public:
  struct Options {
    std::int64_t max_rows = 64;  // rows decoded together
    static void describe(auto& self, auto&& field) {
      field("max_rows", self.max_rows, Range{1, 4096}, "responses decoded together");
    }
  };
  /// @param tokenizer  must outlive the engine; used for stop texts only
  RolloutEngine(const Decoder& model, const Tokenizer& tokenizer, Options options);
  ~RolloutEngine();

  /// Calls `done` once for each response, in order of completion.
  /// @param end_ids  tokens that end a response (EOS list of the model, end of turn of the chat
  /// format) Throws DataError if prompt and max_new_tokens exceed the model's context, or a logit
  /// is not finite.
  RolloutStats generate(std::span<const RolloutRequest> requests, const SamplingOptions& sampling,
                        std::span<const std::int32_t> end_ids, std::uint64_t seed,
                        std::uint64_t iteration,
                        const std::function<void(RolloutResponse&&)>& done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumb
