#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "model/decoder.hpp"
#include "rollout/request.hpp"
#include "rollout/sampling.hpp"
#include "rollout/token_model.hpp"
#include "text/tokenizer.hpp"

namespace plumb {

/// Samples responses with continuous batching: a finished row is replaced at once by the next
/// sample, one with other sampling options as well. Random numbers are addressed by (seed,
/// iteration, stream, sample, position), so a response does not depend on what else is in the
/// batch. Not thread-safe.
class RolloutEngine {
 public:
  struct Options {
    std::int64_t max_rows = 64;  // rows decoded together
    static void describe(auto& self, auto&& field) {
      field("max_rows", self.max_rows, Range{1, 4096}, "responses decoded together");
    }
  };
  /// @param model, tokenizer  must outlive the engine; the tokenizer is used for stop texts only
  RolloutEngine(const Decoder& model, const Tokenizer& tokenizer, Options options);
  /// Samples from any source of logits, e.g. guided decoding.
  RolloutEngine(std::unique_ptr<TokenModel> model, const Tokenizer& tokenizer, Options options);
  ~RolloutEngine();

  /// Calls `done` once for each response, in order of completion. A response ends with the first
  /// end token, with the token that completes a stop text (both kStop), or at its token limit
  /// (kLength).
  /// @param end_ids  tokens that end a response (EOS list of the model, end of turn of the chat
  /// format)
  /// @param token  called for each new token, the last one of the response it gets; false ends the
  /// response there (kLength). Throws DataError naming the request if its prompt is empty, holds an
  /// unknown id, or exceeds the model's context together with max_new_tokens; or if a logit is not
  /// finite (request, sample, position).
  RolloutStats generate(std::span<const RolloutRequest> requests, const SamplingOptions& sampling,
                        std::span<const std::int32_t> end_ids, std::uint64_t seed,
                        std::uint64_t iteration, const std::function<void(RolloutResponse&&)>& done,
                        const std::function<bool(const RolloutResponse&)>& token = {});
  /// The same for requests that come while others run: `next` is asked whenever a row is free,
  /// before every step. Ends when nothing runs and there is none.
  RolloutStats generate(const RequestSource& next, const SamplingOptions& sampling,
                        std::span<const std::int32_t> end_ids, std::uint64_t seed,
                        std::uint64_t iteration, const std::function<void(RolloutResponse&&)>& done,
                        const std::function<bool(const RolloutResponse&)>& token = {});

  /// Throws what generate() would throw for this request. @param number  its name in the error
  void check(const RolloutRequest& request, const SamplingOptions& sampling,
             std::size_t number) const;

 private:
  std::unique_ptr<TokenModel> model_;
  const Tokenizer& tokenizer_;
  Options options_;
};

}  // namespace plumb
