#pragma once
// The tensor operators and the few operations that every loss uses, without ATen's all-in-one
// headers.
#ifndef AT_PER_OPERATOR_HEADERS
#define AT_PER_OPERATOR_HEADERS
#endif
#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>

namespace plumb {

/// log(1 + e^x), exact in both tails. Differentiable twice.
inline at::Tensor log1p_exp(const at::Tensor& x) { return -at::log_sigmoid(-x); }

/// p log1p_exp(-z) + (1 - p) log1p_exp(z): cross-entropy of a target p against sigmoid(z).
/// @param z [B]  @param p [B], in [0, 1]
inline at::Tensor soft_logistic(const at::Tensor& z, const at::Tensor& p) {
  return p * log1p_exp(-z) + (1.0 - p) * log1p_exp(z);
}

}  // namespace plumb
