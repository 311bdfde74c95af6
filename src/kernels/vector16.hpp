// Sixteen float lanes in the compiler's vector notation: one zmm register with AVX-512, several
// smaller ones otherwise. Included only by files that are built once for each instruction set;
// everything is local to the including file.
#pragma once
#include <cstdint>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#pragma GCC diagnostic ignored "-Wunused-function"

namespace plumb::kernels {
namespace {

constexpr int kLanes = 16;
using Float16 = float __attribute__((vector_size(64)));
using Int16 = std::int32_t __attribute__((vector_size(64)));

inline Float16 load(const float* from) {
  Float16 value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
inline void store(float* to, Float16 value) { __builtin_memcpy(to, &value, sizeof value); }
inline Float16 broadcast(float value) { return value - Float16{}; }

/// Sum of the lanes in a fixed order, in double.
inline double lane_sum(Float16 value) {
  double sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += static_cast<double>(value[lane]);
  return sum;
}

inline std::int64_t lane_sum(Int16 value) {
  std::int64_t sum = 0;
  for (int lane = 0; lane < kLanes; ++lane) sum += value[lane];
  return sum;
}

/// e^x for x <= 88, relative error below 3e-7; 0 below -87. Polynomial of degree 6 on |r| <= ln 2 /
/// 2 (Taylor).
inline Float16 exponential(Float16 x) {
  constexpr float kShifter =
      12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits
  const Float16 shifted = x * 1.44269504088896341F + kShifter;
  const Float16 n = shifted - kShifter;
  const Float16 r = (x - n * 0.693145751953125F) - n * 1.42860682030941723212e-6F;
  Float16 p = r * (1.0F / 720) + 1.0F / 120;
  p = p * r + 1.0F / 24;
  p = p * r + 1.0F / 6;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const Int16 power = (reinterpret_cast<Int16>(shifted) << 23) + (127 << 23);
  const Float16 result = p * reinterpret_cast<Float16>(power);
  return x < -87.0F ? Float16{} : result;
}

}  // namespace
}  // namespace plumb::kernels
