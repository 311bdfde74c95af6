#pragma once
#include <ATen/core/Tensor.h>

/// Normalisation, rotary positions and the gated activation, with their gradients. On the CPU
/// vectorised loops over rows (threads split rows, so a row's bits never depend on the others),
/// elsewhere the at:: operations of portable.hpp. "Compute type": float32, or bfloat16 whose
/// arithmetic runs in float32 and is rounded once.
namespace plumb::kernels {

/// y = x / sqrt(mean(x^2) + epsilon) * weight (RMSNorm, Zhang & Sennrich, arXiv:1910.07467).
/// @param x [M, H] float32   @param weight [H] float32   @return [M, H] of type `output`
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                    at::ScalarType output);

/// The same of x + delta; the sum is written to `sum` [M, H] float32, which may be x itself.
/// @param delta [M, H] of type `output`
at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, at::Tensor& sum,
                        const at::Tensor& weight, double epsilon, at::ScalarType output);

/// Adds the gradients of rms_norm: dx [M, H] float32 and dweight [H] float32 (rows summed in an
/// order that does not depend on the thread count).
/// @param dy [M, H] compute type   @param x [M, H] float32, the input of the norm
void rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                       double epsilon, at::Tensor& dx, at::Tensor dweight);

/// Rotates the first `heads` heads of each row in place (RoPE, Su et al., arXiv:2104.09864; halves
/// of a head are the pairs).
/// @param x [M, >= heads * D] compute type, rows contiguous   @param positions [M] int64
/// @param cosine, sine [P, D/2] float32, P above every position   @param inverse rotates back (the
/// gradient)
void rope(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cosine,
          const at::Tensor& sine, std::int64_t heads, bool inverse = false);

/// silu(gate) * up. @param gate_up [M, 2F] rows [gate | up], compute type   @return [M, F]
at::Tensor swiglu(const at::Tensor& gate_up);
/// @param dy [M, F]   @return [M, 2F], the gradient of gate_up
at::Tensor swiglu_backward(const at::Tensor& dy, const at::Tensor& gate_up);

}  // namespace plumb::kernels
