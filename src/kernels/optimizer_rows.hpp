#pragma once
#include <cstdint>

/// Loops of the optimizer over raw memory, free of torch.
namespace plumb::kernels::rows {

/// An AdamW update with everything that does not depend on the value worked out.
struct AdamWFactors {
  float scale;        // of the gradient
  float keep1, add1;  // beta1, 1 - beta1
  float keep2, add2;  // beta2, 1 - beta2
  float decay;        // 1 - learning rate * weight decay
  float rate;         // learning rate / (1 - beta1^t)
  float root;         // 1 / sqrt(1 - beta2^t)
  float epsilon;
};

void adamw(float* value, const float* gradient, float* first_moment, float* second_moment,
           std::int64_t size, const AdamWFactors& factors);

/// Sum of squares in float64.
double sum_of_squares(const float* values, std::int64_t size);

}  // namespace plumb::kernels::rows
