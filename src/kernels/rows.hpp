#pragma once
#include <cstdint>

/// Row-wise loops of the decoder on raw memory, free of torch. `Half` is a bfloat16 bit pattern.
/// Each row is computed alone.
namespace plumb::kernels::rows {

using Half = std::uint16_t;

/// sum = x (+ delta); y = sum / sqrt(mean(sum^2) + epsilon) * weight. `sum` may be x itself; delta
/// may be null.
void rms_norm(const float* x, const float* delta, float* sum, const float* weight, float epsilon,
              float* y, std::int64_t size);
void rms_norm(const float* x, const Half* delta, float* sum, const float* weight, float epsilon,
              Half* y, std::int64_t size);

/// Adds the gradients of the norm of one row: dx += ..., dweight += dy * x / rms.
void rms_norm_backward(const float* dy, const float* x, const float* weight, float epsilon,
                       float* dx, float* dweight, std::int64_t size);
void rms_norm_backward(const Half* dy, const float* x, const float* weight, float epsilon,
                       float* dx, float* dweight, std::int64_t size);

/// Rotates `heads` heads of width 2 * half in place: (a, b) -> (a cos - b sin, b cos + a sin), a
/// the first half of a head.
/// @param sign 1, or -1 to rotate back
void rope(float* row, const float* cosine, const float* sine, float sign, std::int64_t heads,
          std::int64_t half);
void rope(Half* row, const float* cosine, const float* sine, float sign, std::int64_t heads,
          std::int64_t half);

/// y = gate * sigmoid(gate) * up for a row [gate | up] of 2 * size.
void swiglu(const float* gate_up, float* y, std::int64_t size);
void swiglu(const Half* gate_up, Half* y, std::int64_t size);
/// Gradient of swiglu with respect to [gate | up].
void swiglu_backward(const float* dy, const float* gate_up, float* dgate_up, std::int64_t size);
void swiglu_backward(const Half* dy, const Half* gate_up, Half* dgate_up, std::int64_t size);

}  // namespace plumb::kernels::rows
