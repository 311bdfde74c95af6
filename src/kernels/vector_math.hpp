#pragma once
#include <bit>
#include <cstdint>

#include "kernels/bfloat16.hpp"

/// Inline arithmetic for vectorised loops: no branches, no library calls.
namespace plumb::kernels {

[[gnu::always_inline]] inline float load(const float* from) { return *from; }
[[gnu::always_inline]] inline float load(const std::uint16_t* from) { return from_bfloat16(*from); }
[[gnu::always_inline]] inline void store(float* to, float value) { *to = value; }
[[gnu::always_inline]] inline void store(std::uint16_t* to, float value) {
  *to = to_bfloat16(value);
}

/// e^x to 2 units in the last place; 0 below -87.3, at most 3.4e38, NaN stays NaN.
/// 2^n times the Taylor series of degree 7 on |r| <= ln(2)/2, whose remainder is below 6e-9.
[[gnu::always_inline]] inline float exp_fast(float x) {
  constexpr float kLog2E = 1.44269504F, kLn2High = 0.693145752F, kLn2Low = 1.42860677e-6F;
  constexpr float kRound =
      12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
  constexpr float kLowest = -87.3F, kHighest = 88.7F;
  const float clamped = x < kLowest ? kLowest : (x > kHighest ? kHighest : x);
  const float shifted = clamped * kLog2E + kRound;
  const float n = shifted - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const std::uint32_t exponent =
      std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(kRound) + 127U;
  const float power = std::bit_cast<float>(exponent << 23);
  return x < kLowest ? 0.0F : p * power;
}

[[gnu::always_inline]] inline float sigmoid_fast(float x) { return 1.0F / (1.0F + exp_fast(-x)); }

}  // namespace plumb::kernels
