#pragma once
#include <ATen/core/Tensor.h>

#include "model/decoder_impl.hpp"

namespace plumb {

/// Rows of logits computed at once: 256 of a 49,152-word vocabulary are 50 MB, and no more is ever
/// held.
constexpr std::int64_t kStatsChunkRows = 256;

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

/// Recomputes the logits chunk by chunk and adds the head's weight gradient.
/// @param dlogprobs, dkl [R] or undefined   @return [N, H] gradient of hidden, in its type
at::Tensor run_token_stats_backward(const Decoder::Impl& decoder, const at::Tensor& hidden,
                                    const StatsPass& pass, const at::Tensor& dlogprobs,
                                    const at::Tensor& dkl);

}  // namespace plumb
