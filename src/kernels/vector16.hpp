// Sixteen 32-bit lanes in the compiler's vector notation: one register with AVX-512, several
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
#if defined(__AVX512F__)
constexpr int kRegisterBytes = 64;
#elif defined(__AVX2__)
constexpr int kRegisterBytes = 32;
#else
constexpr int kRegisterBytes = 16;
#endif
constexpr int kParts = 64 / kRegisterBytes, kPartLanes = kLanes / kParts;

using FloatPart = float __attribute__((vector_size(kRegisterBytes)));
using IntPart = std::int32_t __attribute__((vector_size(kRegisterBytes)));
using UIntPart = std::uint32_t __attribute__((vector_size(kRegisterBytes)));

template <class Part>
struct Lanes {
  Part part[kParts];
  auto operator[](int lane) const { return part[lane / kPartLanes][lane % kPartLanes]; }
  void set(int lane, decltype(Part{}[0] + 0) value) {
    part[lane / kPartLanes][lane % kPartLanes] = value;
  }
};
using Float16 = Lanes<FloatPart>;
using Int16 = Lanes<IntPart>;
using UInt16 = Lanes<UIntPart>;

/// A vector whose parts are f(0), f(1), ...
template <class Part, class PartOf>
inline Lanes<Part> by_part(const PartOf& f) {
  Lanes<Part> result;
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) result.part[i] = f(i);
  return result;
}

template <class Part>
inline Lanes<Part> broadcast(decltype(Part{}[0] + 0) value) {
  return by_part<Part>([&](int) { return value - Part{}; });
}
inline Float16 broadcast(float value) { return broadcast<FloatPart>(value); }

#define PLUMB_LANES_OPERATOR(op)                                                    \
  template <class Part>                                                             \
  inline Lanes<Part> operator op(const Lanes<Part>& a, const Lanes<Part>& b) {      \
    return by_part<Part>([&](int i) { return a.part[i] op b.part[i]; });            \
  }                                                                                 \
  template <class Part>                                                             \
  inline Lanes<Part> operator op(const Lanes<Part>& a, decltype(Part{}[0] + 0) b) { \
    return by_part<Part>([&](int i) { return a.part[i] op b; });                    \
  }
PLUMB_LANES_OPERATOR(+)
PLUMB_LANES_OPERATOR(-)
PLUMB_LANES_OPERATOR(*)
PLUMB_LANES_OPERATOR(/)
PLUMB_LANES_OPERATOR(&)
PLUMB_LANES_OPERATOR(|)
PLUMB_LANES_OPERATOR(<<)
PLUMB_LANES_OPERATOR(>>)
#undef PLUMB_LANES_OPERATOR

template <class Part>
inline void operator+=(Lanes<Part>& a, const Lanes<Part>& b) {
  a = a + b;
}
/// sum += a * b
inline void add_product(Float16& sum, const Float16& a, float b) {
#pragma GCC unroll 4
  for (int i = 0; i < kParts; ++i) sum.part[i] += a.part[i] * b;
}

// All bits of a lane are set where a comparison holds.
inline Int16 operator>(const Float16& a, const Float16& b) {
  return by_part<IntPart>([&](int i) { return a.part[i] > b.part[i]; });
}
inline Int16 operator>=(const Float16& a, const Float16& b) {
  return by_part<IntPart>([&](int i) { return a.part[i] >= b.part[i]; });
}
inline Int16 operator<(const Int16& a, const Int16& b) {
  return by_part<IntPart>([&](int i) { return a.part[i] < b.part[i]; });
}
inline Float16 choose(const Int16& held, const Float16& yes, const Float16& no) {
  return by_part<FloatPart>([&](int i) { return held.part[i] ? yes.part[i] : no.part[i]; });
}
inline Float16 larger(const Float16& a, const Float16& b) { return choose(a > b, a, b); }

template <class To, class Part>
inline Lanes<To> bits_as(const Lanes<Part>& from) {
  return by_part<To>([&](int i) { return reinterpret_cast<To>(from.part[i]); });
}

inline Float16 load(const float* from) {
  Float16 value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
inline UInt16 load(const std::uint32_t* from) {
  UInt16 value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
inline void store(float* to, const Float16& value) { __builtin_memcpy(to, &value, sizeof value); }

/// 0, 1, .. 15
inline Int16 lane_numbers() {
  return by_part<IntPart>([](int i) {
    IntPart numbers;
    for (int lane = 0; lane < kPartLanes; ++lane) numbers[lane] = i * kPartLanes + lane;
    return numbers;
  });
}

/// Sum of the lanes in a fixed order, in double.
inline double lane_sum(const Float16& value) {
  double sum = 0;
#pragma GCC unroll 16
  for (int lane = 0; lane < kLanes; ++lane) sum += static_cast<double>(value[lane]);
  return sum;
}
inline std::int64_t lane_sum(const Int16& value) {
  std::int64_t sum = 0;
#pragma GCC unroll 16
  for (int lane = 0; lane < kLanes; ++lane) sum += value[lane];
  return sum;
}
/// The two bfloat16 values of each lane.
inline Float16 low_bfloat16(const UInt16& pairs) { return bits_as<FloatPart>(pairs << 16U); }
inline Float16 high_bfloat16(const UInt16& pairs) {
  return bits_as<FloatPart>(pairs & 0xFFFF0000U);
}

/// sum += the products of both values of each lane with those of `pair`.
inline void add_dot(Float16& sum, const UInt16& pairs, std::uint32_t pair) {
#ifdef __AVX512BF16__
  sum.part[0] = reinterpret_cast<FloatPart>(_mm512_dpbf16_ps(
      reinterpret_cast<__m512>(sum.part[0]), reinterpret_cast<__m512bh>(pairs.part[0]),
      reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(pair)))));
#else
  add_product(sum, low_bfloat16(pairs), __builtin_bit_cast(float, pair << 16));
  add_product(sum, high_bfloat16(pairs), __builtin_bit_cast(float, pair & 0xFFFF0000U));
#endif
}

/// e^x for x <= 88, relative error below 3e-7; 0 below -87. Taylor polynomial of degree 6 on |r| <=
/// ln(2) / 2.
inline Float16 exponential(const Float16& x) {
  constexpr float kShifter =
      12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits
  return by_part<FloatPart>([&](int i) {
    const FloatPart shifted = x.part[i] * 1.44269504088896341F + kShifter;
    const FloatPart n = shifted - kShifter;
    const FloatPart r = (x.part[i] - n * 0.693145751953125F) - n * 1.42860682030941723212e-6F;
    FloatPart p = r * (1.0F / 720) + 1.0F / 120;
    p = p * r + 1.0F / 24;
    p = p * r + 1.0F / 6;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    const IntPart power = (reinterpret_cast<IntPart>(shifted) << 23) + (127 << 23);
    const FloatPart result = p * reinterpret_cast<FloatPart>(power);
    return x.part[i] < -87.0F ? FloatPart{} : result;
  });
}

}  // namespace
}  // namespace plumb::kernels
