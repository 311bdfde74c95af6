#pragma once
#include <ATen/core/Tensor.h>

#include "tensor/ragged.hpp"

/// Causal self-attention of a ragged batch: each segment attends to its prefix segment and causally
/// to itself.
namespace plumb::kernels {

struct AttentionShape {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;  // heads is a multiple of kv_heads
  double scale = 1.0;                                  // of the scores, 1 / sqrt(head_dim)

  std::int64_t query_width() const { return heads * head_dim; }
  std::int64_t kv_width() const { return kv_heads * head_dim; }
  std::int64_t fused_width() const { return query_width() + 2 * kv_width(); }
};

/// Float32 scores and softmax. A row's bits are the same whether its prompt is a prefix segment or
/// part of its own segment.
/// @param qkv [N, fused_width()] rows [q | k | v] after the rotary positions, float32 or bfloat16
/// @param logsumexp receives [N, heads] float32 where not null: what attention_backward needs
/// @return [N, query_width()] in the type of qkv
at::Tensor attention(const at::Tensor& qkv, const RaggedBatch& batch, const AttentionShape& shape,
                     at::Tensor* logsumexp = nullptr);

/// @param dout [N, query_width()] the gradient of `out`, the result of attention()
/// @return [N, fused_width()] the gradient of qkv; a prefix collects the gradients of all its
/// continuations
at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                              const at::Tensor& logsumexp, const RaggedBatch& batch,
                              const AttentionShape& shape);

namespace portable {

at::Tensor attention(const at::Tensor& qkv, const RaggedBatch& batch, const AttentionShape& shape,
                     at::Tensor* logsumexp);
at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                              const at::Tensor& logsumexp, const RaggedBatch& batch,
                              const AttentionShape& shape);

}  // namespace portable
}  // namespace plumb::kernels
