#include "kernels/attention_rows.hpp"

#include <limits>

#include "kernels/vector_clones.hpp"
#include "kernels/vector_math.hpp"

namespace plumb::kernels::rows {
namespace {

template <class T>
[[gnu::always_inline]] inline SoftmaxSums softmax_row(const float* scores, float scale,
                                                      std::int64_t visible, std::int64_t padded,
                                                      T* weights) {
  float highest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : highest)
  for (std::int64_t i = 0; i < visible; ++i) {
    const float score = scale * scores[i];
    highest = score > highest ? score : highest;
  }
  float total = 0.0F;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < visible; ++i) {
    const float weight = exp_fast(scale * scores[i] - highest);
    total += weight;
    store(weights + i, weight);
  }
  for (std::int64_t i = visible; i < padded; ++i) weights[i] = T{};
  return {highest, total};
}

template <class T>
[[gnu::always_inline]] inline void scaled_row(const float* values, float factor, std::int64_t size,
                                              T* y) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) store(y + i, values[i] * factor);
}

template <class T>
[[gnu::always_inline]] inline float dot_row(const T* x, const T* y, std::int64_t size) {
  float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < size; ++i) sum += load(x + i) * load(y + i);
  return sum;
}

template <class T>
[[gnu::always_inline]] inline void softmax_backward_row(const SoftmaxGradient& task, T* weights,
                                                        T* dscores) {
  const float *scores = task.scores, *dweights = task.dweights;
  const float scale = task.scale, logsumexp = task.logsumexp, mean = task.mean;
#pragma omp simd
  for (std::int64_t i = 0; i < task.visible; ++i) {
    const float weight = exp_fast(scale * scores[i] - logsumexp);
    store(weights + i, weight);
    store(dscores + i, scale * weight * (dweights[i] - mean));
  }
  for (std::int64_t i = task.visible; i < task.padded; ++i) weights[i] = dscores[i] = T{};
}

}  // namespace

PLUMB_VECTOR_CLONES SoftmaxSums softmax(const float* scores, float scale, std::int64_t visible,
                                        std::int64_t padded, float* weights) {
  return softmax_row(scores, scale, visible, padded, weights);
}
PLUMB_VECTOR_CLONES SoftmaxSums softmax(const float* scores, float scale, std::int64_t visible,
                                        std::int64_t padded, Half* weights) {
  return softmax_row(scores, scale, visible, padded, weights);
}
PLUMB_VECTOR_CLONES void scaled(const float* values, float factor, std::int64_t size, float* y) {
  scaled_row(values, factor, size, y);
}
PLUMB_VECTOR_CLONES void scaled(const float* values, float factor, std::int64_t size, Half* y) {
  scaled_row(values, factor, size, y);
}
PLUMB_VECTOR_CLONES float dot(const float* x, const float* y, std::int64_t size) {
  return dot_row(x, y, size);
}
PLUMB_VECTOR_CLONES float dot(const Half* x, const Half* y, std::int64_t size) {
  return dot_row(x, y, size);
}
PLUMB_VECTOR_CLONES void softmax_backward(const SoftmaxGradient& task, float* weights,
                                          float* dscores) {
  softmax_backward_row(task, weights, dscores);
}
PLUMB_VECTOR_CLONES void softmax_backward(const SoftmaxGradient& task, Half* weights,
                                          Half* dscores) {
  softmax_backward_row(task, weights, dscores);
}

}  // namespace plumb::kernels::rows
