#include "kernels/attention.hpp"

#include "core/error.hpp"
#ifdef PLUMB_X86_KERNELS
#include "kernels/attention_packed.hpp"
#endif

namespace plumb::kernels {
namespace {

void check(const at::Tensor& qkv, const RaggedBatch& batch, const AttentionShape& shape) {
  expects(qkv.dim() == 2 && qkv.is_contiguous() && qkv.size(1) == shape.fused_width(),
          "contiguous rows [q | k | v]");
  expects(qkv.size(0) == batch.tokens(), "one row a token of the batch");
  expects(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0,
          "query heads a multiple of the key heads");
}

}  // namespace

at::Tensor attention(const at::Tensor& qkv, const RaggedBatch& batch, const AttentionShape& shape,
                     at::Tensor* logsumexp) {
  check(qkv, batch, shape);
#ifdef PLUMB_X86_KERNELS
  if (qkv.is_cpu() && packed::available(qkv.scalar_type(), shape)) {
    return packed::attention(qkv, batch, shape, logsumexp);
  }
#endif
  return portable::attention(qkv, batch, shape, logsumexp);
}

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                              const at::Tensor& logsumexp, const RaggedBatch& batch,
                              const AttentionShape& shape) {
  check(qkv, batch, shape);
  expects(dout.sizes() == out.sizes() && dout.is_contiguous() && out.is_contiguous() &&
              dout.scalar_type() == qkv.scalar_type() && out.scalar_type() == qkv.scalar_type() &&
              logsumexp.is_contiguous(),
          "contiguous gradients of the output, of the type of qkv");
#ifdef PLUMB_X86_KERNELS
  if (qkv.is_cpu() && packed::available(qkv.scalar_type(), shape)) {
    return packed::attention_backward(dout, qkv, out, logsumexp, batch, shape);
  }
#endif
  return portable::attention_backward(dout, qkv, out, logsumexp, batch, shape);
}

}  // namespace plumb::kernels
