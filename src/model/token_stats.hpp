#pragma once
#include <ATen/core/Tensor.h>

#include "model/decoder_impl.hpp"

namespace plumb {

/// Rows of hidden states taken at once, and words of the vocabulary: a block of logits of 8 MB that
/// stays in the last-level cache between the product that makes it and those that use it. [R, V]
/// never exists. The block of words is fixed, so that a row's bits do not depend on the batch.
constexpr std::int64_t kStatsChunkRows = 1024;
constexpr std::int64_t kStatsBlockWords = 2048;

/// A log-prob pass over chosen rows of hidden states.
struct StatsPass {
  TokenRows rows;
  TokenStatsRequest request;
  std::int64_t chunk_rows = kStatsChunkRows;
  // What the backward pass needs, [R] float32:
  at::Tensor logsumexp{}, reference_logsumexp{};
};

/// Computes the statistics; fills the pass's log-sum-exps. No gradients.
/// @param hidden [N, H] compute type
TokenStats run_token_stats(const Decoder::Impl& decoder, const at::Tensor& hidden, StatsPass& pass);

/// Recomputes the logits block by block and adds the head's weight gradient.
/// @param dlogprobs, dkl [R] or undefined   @return [N, H] gradient of hidden, in its type
at::Tensor run_token_stats_backward(const Decoder::Impl& decoder, const at::Tensor& hidden,
                                    const StatsPass& pass, const at::Tensor& dlogprobs,
                                    const at::Tensor& dkl);

}  // namespace plumb
