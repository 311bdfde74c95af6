#pragma once
#include <cstdint>

/// Loops over one row of attention scores, free of torch. `Half` is a bfloat16 bit pattern.
namespace plumb::kernels::rows {

using Half = std::uint16_t;

struct SoftmaxSums {
  float highest;  // largest scaled score
  float total;    // sum of exp(scaled score - highest)
};

/// weights[i] = exp(scale * scores[i] - highest) for i < visible, 0 for visible <= i < padded.
SoftmaxSums softmax(const float* scores, float scale, std::int64_t visible, std::int64_t padded,
                    float* weights);
SoftmaxSums softmax(const float* scores, float scale, std::int64_t visible, std::int64_t padded,
                    Half* weights);

/// y = values * factor.
void scaled(const float* values, float factor, std::int64_t size, float* y);
void scaled(const float* values, float factor, std::int64_t size, Half* y);

/// sum x y.
float dot(const float* x, const float* y, std::int64_t size);
float dot(const Half* x, const Half* y, std::int64_t size);

/// p = exp(scale * scores[i] - logsumexp); weights = p; dscores = scale * p * (dweights[i] - mean);
/// zero from visible to padded.
struct SoftmaxGradient {
  const float* scores;
  const float* dweights;
  float scale, logsumexp, mean;
  std::int64_t visible, padded;
};
void softmax_backward(const SoftmaxGradient& task, float* weights, float* dscores);
void softmax_backward(const SoftmaxGradient& task, Half* weights, Half* dscores);

}  // namespace plumb::kernels::rows
