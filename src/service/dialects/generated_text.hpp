#pragma once
#include <string>
#include <vector>

#include "service/dialects/generation_fields.hpp"

namespace plumb::service {

/// Text of a response: no special tokens, and without the stop text that ended it.
std::string response_text(const Tokenizer& tokenizer, const RolloutResponse& response,
                          const std::vector<std::string>& stops);

/// Turns a growing response into pieces that never split a character and never show a part of a
/// stop text.
class TextStream {
 public:
  TextStream(const Tokenizer& tokenizer, const std::vector<std::string>& stops)
      : tokenizer_(&tokenizer), stops_(&stops) {}
  /// What is new and safe to show.
  std::string grow(const RolloutResponse& response);
  /// The rest.
  std::string finish(const RolloutResponse& response);

 private:
  const Tokenizer* tokenizer_;
  const std::vector<std::string>* stops_;
  std::size_t shown_ = 0;  // bytes
};

/// A token's text, or token_id:N.
std::string token_text(const Tokenizer& tokenizer, std::int32_t id, bool as_id);

/// The legacy shape {tokens, token_logprobs, top_logprobs, text_offset}. The first token of a
/// prompt has null. @param offset  characters before the first token; those of the tokens are added
OrderedJson completion_logprobs(const Tokenizer& tokenizer, const std::vector<TokenLogprob>& rows,
                                const GenerationFields& fields, std::size_t& offset);
/// The chat shape {content: [{token, logprob, bytes, top_logprobs}]}.
OrderedJson chat_logprobs(const Tokenizer& tokenizer, const std::vector<TokenLogprob>& rows,
                          const GenerationFields& fields);

/// Log-probs of the response's tokens from `first` on, with the likeliest others that were noted.
std::vector<TokenLogprob> response_logprobs(const RolloutResponse& response, std::size_t first);

}  // namespace plumb::service
