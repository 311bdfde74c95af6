#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace plumb::kernels {

/// Settings of one AdamW update (Loshchilov & Hutter, arXiv:1711.05101), with bias correction and
/// decoupled weight decay.
struct AdamWStep {
  double learning_rate = 0.0;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  std::int64_t step = 1;        // 1-based number of the update
  double gradient_scale = 1.0;  // the gradient counts this many times (clipping)
};

/// Updates value and moments in place in one pass over memory. All tensors float32, contiguous, of
/// one size; bits do not depend on the number of threads.
void adamw(at::Tensor& value, const at::Tensor& gradient, at::Tensor& first_moment,
           at::Tensor& second_moment, const AdamWStep& step);

/// Sum of squares in float64, in a fixed order that does not depend on the number of threads.
/// @param values float32, contiguous
double squared_norm(const at::Tensor& values);

}  // namespace plumb::kernels
