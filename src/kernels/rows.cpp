#include "kernels/rows.hpp"

#include <cmath>

#include "kernels/vector_clones.hpp"
#include "kernels/vector_math.hpp"

namespace plumb::kernels::rows {
namespace {

template <class T>
[[gnu::always_inline]] inline void rms_norm_row(const float* x, const T* delta, float* sum,
                                                const float* weight, float epsilon, T* y,
                                                std::int64_t size) {
  float squares = 0.0F;
  if (delta != nullptr) {
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < size; ++i) {
      const float value = x[i] + load(delta + i);
      sum[i] = value;
      squares += value * value;
    }
  } else {
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < size; ++i) squares += x[i] * x[i];
  }
  const float* from = delta != nullptr ? sum : x;
  const float scale = 1.0F / std::sqrt(squares / static_cast<float>(size) + epsilon);
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) store(y + i, from[i] * scale * weight[i]);
}

template <class T>
[[gnu::always_inline]] inline void rms_norm_backward_row(const T* dy, const float* x,
                                                         const float* weight, float epsilon,
                                                         float* dx, float* dweight,
                                                         std::int64_t size) {
  float squares = 0.0F, dot = 0.0F;
#pragma omp simd reduction(+ : squares, dot)
  for (std::int64_t i = 0; i < size; ++i) {
    squares += x[i] * x[i];
    dot += load(dy + i) * weight[i] * x[i];
  }
  const auto count = static_cast<float>(size);
  const float scale = 1.0F / std::sqrt(squares / count + epsilon);
  const float pull = dot * scale * scale * scale / count;
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    const float gradient = load(dy + i);
    dx[i] += gradient * weight[i] * scale - x[i] * pull;
    dweight[i] += gradient * x[i] * scale;
  }
}

template <class T>
[[gnu::always_inline]] inline void rope_row(T* row, const float* cosine, const float* sine,
                                            float sign, std::int64_t heads, std::int64_t half) {
  for (std::int64_t head = 0; head < heads; ++head, row += 2 * half) {
#pragma omp simd
    for (std::int64_t i = 0; i < half; ++i) {
      const float a = load(row + i), b = load(row + half + i);
      store(row + i, a * cosine[i] - b * (sign * sine[i]));
      store(row + half + i, b * cosine[i] + a * (sign * sine[i]));
    }
  }
}

template <class T>
[[gnu::always_inline]] inline void swiglu_row(const T* gate_up, T* y, std::int64_t size) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    const float gate = load(gate_up + i);
    store(y + i, gate * sigmoid_fast(gate) * load(gate_up + size + i));
  }
}

template <class T>
[[gnu::always_inline]] inline void swiglu_backward_row(const T* dy, const T* gate_up, T* dgate_up,
                                                       std::int64_t size) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    const float gate = load(gate_up + i), up = load(gate_up + size + i), gradient = load(dy + i);
    const float sigmoid = sigmoid_fast(gate);
    store(dgate_up + i, gradient * up * sigmoid * (1.0F + gate * (1.0F - sigmoid)));
    store(dgate_up + size + i, gradient * gate * sigmoid);
  }
}

}  // namespace

PLUMB_VECTOR_CLONES void rms_norm(const float* x, const float* delta, float* sum,
                                  const float* weight, float epsilon, float* y, std::int64_t size) {
  rms_norm_row(x, delta, sum, weight, epsilon, y, size);
}
PLUMB_VECTOR_CLONES void rms_norm(const float* x, const Half* delta, float* sum,
                                  const float* weight, float epsilon, Half* y, std::int64_t size) {
  rms_norm_row(x, delta, sum, weight, epsilon, y, size);
}
PLUMB_VECTOR_CLONES void rms_norm_backward(const float* dy, const float* x, const float* weight,
                                           float epsilon, float* dx, float* dweight,
                                           std::int64_t size) {
  rms_norm_backward_row(dy, x, weight, epsilon, dx, dweight, size);
}
PLUMB_VECTOR_CLONES void rms_norm_backward(const Half* dy, const float* x, const float* weight,
                                           float epsilon, float* dx, float* dweight,
                                           std::int64_t size) {
  rms_norm_backward_row(dy, x, weight, epsilon, dx, dweight, size);
}
PLUMB_VECTOR_CLONES void rope(float* row, const float* cosine, const float* sine, float sign,
                              std::int64_t heads, std::int64_t half) {
  rope_row(row, cosine, sine, sign, heads, half);
}
PLUMB_VECTOR_CLONES void rope(Half* row, const float* cosine, const float* sine, float sign,
                              std::int64_t heads, std::int64_t half) {
  rope_row(row, cosine, sine, sign, heads, half);
}
PLUMB_VECTOR_CLONES void swiglu(const float* gate_up, float* y, std::int64_t size) {
  swiglu_row(gate_up, y, size);
}
PLUMB_VECTOR_CLONES void swiglu(const Half* gate_up, Half* y, std::int64_t size) {
  swiglu_row(gate_up, y, size);
}
PLUMB_VECTOR_CLONES void swiglu_backward(const float* dy, const float* gate_up, float* dgate_up,
                                         std::int64_t size) {
  swiglu_backward_row(dy, gate_up, dgate_up, size);
}
PLUMB_VECTOR_CLONES void swiglu_backward(const Half* dy, const Half* gate_up, Half* dgate_up,
                                         std::int64_t size) {
  swiglu_backward_row(dy, gate_up, dgate_up, size);
}

}  // namespace plumb::kernels::rows
