#pragma once
#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "rewards/language_model.hpp"

/// Log-probs of whole responses under a decoder LM, for the rewards that are made of them. Nats, no
/// gradients.
namespace plumb {

/// One value a response token, one list a continuation.
using TokenValues = std::vector<std::vector<float>>;

/// log p(token | prompt, earlier tokens). A prompt shared by neighbours is computed once.
/// @param vocab         only the first ids of the vocabulary exist: the others are cut off before
/// the softmax
/// @param batch_tokens  tokens of a forward pass (a longer continuation makes a pass of its own)
TokenValues token_logprobs(const Decoder& model, std::span<const Continuation> continuations,
                           std::int64_t vocab, std::int64_t batch_tokens);

/// At each response token, sum over the vocabulary of base(v) * log arm(v): what a token sampled
/// from the base model gets from the arm on average. Both vocabularies are cut to `vocab`.
TokenValues expected_logprobs(const Decoder& base, const Decoder& arm,
                              std::span<const Continuation> continuations, std::int64_t vocab,
                              std::int64_t batch_tokens);

/// Log-softmax over the first `vocab` columns. @param logits [R, V], V >= vocab @return [R, vocab]
/// float32
at::Tensor cut_log_softmax(const at::Tensor& logits, std::int64_t vocab);

/// sum_v base(v) * log arm(v) of rows of log-probs. @param base, arm [R, V] @return [R]
at::Tensor expected_rows(const at::Tensor& base, const at::Tensor& arm);

}  // namespace plumb
