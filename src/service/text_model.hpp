#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rewards/reward.hpp"
#include "rollout/request.hpp"
#include "rollout/sampling.hpp"
#include "text/chat_template.hpp"
#include "text/tokenizer.hpp"

namespace plumb::service {

/// A token with its log-probability, nats, and the likeliest tokens at its place.
struct TokenLogprob {
  std::int32_t id = 0;
  double logprob = 0;  // NaN for a first token, which nothing precedes
  std::vector<std::pair<std::int32_t, double>> top;  // most likely first
};

/// A response after its prompt, as a model's tokens.
struct SampleTokens {
  std::vector<std::int32_t> prompt, response;
};

/// A language model as the completion routes see it. Used by the compute thread alone, but for the
/// facts about it.
class TextModel {
 public:
  virtual ~TextModel() = default;
  virtual std::string name() const = 0;
  virtual const Tokenizer& tokenizer() const = 0;
  virtual const ChatTemplate& chat() const = 0;
  virtual std::int64_t max_length() const = 0;  // prompt + response, tokens

  /// Of everything that decides its log-probs.
  virtual std::string fingerprint() const = 0;
  /// A sample as this model reads it: the ids it came with where they stand for the same text, else
  /// the text and, if it is finished, the chat format's end of turn. Throws DataError if prompt or
  /// response has no token, or both exceed the context.
  virtual SampleTokens tokens_of(const RewardSample& sample) const = 0;
  /// Log-probs of the responses' tokens, nats. Neighbours with the same prompt share its pass.
  virtual std::vector<std::vector<float>> logprobs(std::span<const SampleTokens> samples) = 0;

  /// A conversation as each model that steers the sampling reads it; none if nothing steers.
  virtual std::vector<std::vector<std::int32_t>> guide_prompts(std::span<const Message>) const {
    return {};
  }

  /// Log-probabilities of given tokens, each after those before it. @param top  likeliest tokens
  /// wanted at each place
  virtual std::vector<std::vector<TokenLogprob>> score(
      std::span<const std::vector<std::int32_t>> sequences, std::int64_t top) = 0;

  /// Where a generation gets its requests, and what it tells while it runs.
  struct Feed {
    RequestSource
        next;  // asked whenever there is room; all requests have sampling options and seed
    /// The last token of this response is new. @return false to end the response here
    std::function<bool(const RolloutResponse&)> token;
    std::function<void(RolloutResponse&&)> done;
  };
  /// Throws DataError if the request cannot be sampled: too long, an unknown id.
  virtual void check(const RolloutRequest& request) const = 0;
  /// Samples until nothing runs and there is no next request. A response does not depend on the
  /// others. The requests passed check().
  virtual void generate(const Feed& feed) = 0;
};

}  // namespace plumb::service
