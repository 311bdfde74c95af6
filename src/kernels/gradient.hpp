#pragma once
#include <ATen/core/Tensor.h>

#include "kernels/kernels.hpp"

namespace plumb::kernels {

/// gradient += dy^T * x, products of the given precision, float32 sums over the rows in a fixed
/// order.
/// @param gradient [N, K] float32   @param dy [M, N], x [M, K] float32 or bfloat16
void accumulate_weight_gradient(at::Tensor gradient, const at::Tensor& dy, const at::Tensor& x,
                                Precision precision,
                                Implementation implementation = Implementation::kBest);

}  // namespace plumb::kernels
