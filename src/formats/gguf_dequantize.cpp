#include "formats/gguf_dequantize.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace plumb {
namespace {

using Bytes = const std::uint8_t*;

constexpr int kBlock = 32;  // values of a block of the simple types

std::uint16_t load_u16(Bytes bytes) { return static_cast<std::uint16_t>(bytes[0] | bytes[1] << 8); }

/// IEEE half to float, exact for subnormals, infinities and NaN.
float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(half & 0x7fff) << 13;
  if ((half & 0x7c00) == 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | magnitude);
  // A half's exponent is biased by 15, a float's by 127.
  const float value = std::bit_cast<float>(magnitude) * 0x1p112F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

float load_half(Bytes bytes) { return half_to_float(load_u16(bytes)); }

void f32(Bytes in, float* out) { std::memcpy(out, in, sizeof(float)); }
void f16(Bytes in, float* out) { *out = load_half(in); }
void bf16(Bytes in, float* out) {
  *out = std::bit_cast<float>(static_cast<std::uint32_t>(load_u16(in)) << 16);
}

void q4_0(Bytes in, float* out) {
  const float d = load_half(in);
  Bytes q = in + 2;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((q[j] & 15) - 8) * d;
    out[j + 16] = static_cast<float>((q[j] >> 4) - 8) * d;
  }
}

void q4_1(Bytes in, float* out) {
  const float d = load_half(in);
  const float m = load_half(in + 2);
  Bytes q = in + 4;
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(q[j] & 15) * d + m;
    out[j + 16] = static_cast<float>(q[j] >> 4) * d + m;
  }
}

/// The 5-bit numbers of a Q5_0 or Q5_1 block: fifth bits (bit j belongs to value j), then low
/// nibbles.
std::array<int, kBlock> five_bits(Bytes high, Bytes low) {
  const std::uint32_t fifth = static_cast<std::uint32_t>(load_u16(high)) |
                              static_cast<std::uint32_t>(load_u16(high + 2)) << 16;
  std::array<int, kBlock> values;
  for (int j = 0; j < 16; ++j) {
    values[static_cast<std::size_t>(j)] = (low[j] & 15) | static_cast<int>((fifth >> j & 1) << 4);
    values[static_cast<std::size_t>(j) + 16] =
        (low[j] >> 4) | static_cast<int>((fifth >> (j + 16) & 1) << 4);
  }
  return values;
}

void q5_0(Bytes in, float* out) {
  const float d = load_half(in);
  for (const int q : five_bits(in + 2, in + 6)) *out++ = static_cast<float>(q - 16) * d;
}

void q5_1(Bytes in, float* out) {
  const float d = load_half(in);
  const float m = load_half(in + 2);
  for (const int q : five_bits(in + 4, in + 8)) *out++ = static_cast<float>(q) * d + m;
}

void q8_0(Bytes in, float* out) {
  const float d = load_half(in);
  for (int j = 0; j < kBlock; ++j) {
    out[j] = static_cast<float>(static_cast<std::int8_t>(in[2 + j])) * d;
  }
}

/// Scale and minimum of sub-block j (0..7) of a Q4_K or Q5_K block: 6-bit numbers packed into 12
/// bytes.
struct SubScale {
  float scale, minimum;
};
SubScale sub_scale(Bytes s, int j, float d, float dmin) {
  const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
  const int minimum = j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | (s[j] >> 6) << 4;
  return {d * static_cast<float>(scale), dmin * static_cast<float>(minimum)};
}

void q4_k(Bytes in, float* out) {
  const float d = load_half(in);
  const float dmin = load_half(in + 2);
  Bytes q = in + 16;
  for (int c = 0; c < 4; ++c, q += 32, out += 64) {
    const SubScale low = sub_scale(in + 4, 2 * c, d, dmin);
    const SubScale high = sub_scale(in + 4, 2 * c + 1, d, dmin);
    for (int l = 0; l < 32; ++l) {
      out[l] = low.scale * static_cast<float>(q[l] & 15) - low.minimum;
      out[l + 32] = high.scale * static_cast<float>(q[l] >> 4) - high.minimum;
    }
  }
}

void q5_k(Bytes in, float* out) {
  const float d = load_half(in);
  const float dmin = load_half(in + 2);
  Bytes fifth = in + 16;
  Bytes q = in + 48;
  for (int c = 0; c < 4; ++c, q += 32, out += 64) {
    const SubScale low = sub_scale(in + 4, 2 * c, d, dmin);
    const SubScale high = sub_scale(in + 4, 2 * c + 1, d, dmin);
    for (int l = 0; l < 32; ++l) {
      const int q_low = (q[l] & 15) + (fifth[l] >> (2 * c) & 1) * 16;
      const int q_high = (q[l] >> 4) + (fifth[l] >> (2 * c + 1) & 1) * 16;
      out[l] = low.scale * static_cast<float>(q_low) - low.minimum;
      out[l + 32] = high.scale * static_cast<float>(q_high) - high.minimum;
    }
  }
}

void q6_k(Bytes in, float* out) {
  Bytes low = in;
  Bytes high = in + 128;
  Bytes scales = in + 192;
  const float d = load_half(in + 208);
  for (int half = 0; half < 2; ++half, out += 128, low += 64, high += 32, scales += 8) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int l = 0; l < 32; ++l) {
        const int byte = low[l + 32 * (quarter & 1)];
        const int nibble = quarter < 2 ? byte & 15 : byte >> 4;
        const int q = (nibble | (high[l] >> (2 * quarter) & 3) << 4) - 32;
        const auto scale = static_cast<std::int8_t>(scales[l / 16 + 2 * quarter]);
        out[32 * quarter + l] = d * static_cast<float>(scale) * static_cast<float>(q);
      }
    }
  }
}

template <void (*block)(Bytes, float*)>
void each(Bytes in, std::size_t count, std::size_t bytes, std::size_t values, float* out) {
  for (std::size_t i = 0; i < count; ++i) block(in + i * bytes, out + i * values);
}

}  // namespace

void dequantize(GgmlType type, const std::byte* blocks, std::size_t count, float* out) {
  const GgmlTypeInfo& info = ggml_type_info(type);
  const auto run = [&](auto* loop) {
    loop(reinterpret_cast<Bytes>(blocks), count, info.block_bytes, info.block_values, out);
  };
  switch (type) {
    case GgmlType::kF32:
      return run(each<f32>);
    case GgmlType::kF16:
      return run(each<f16>);
    case GgmlType::kBF16:
      return run(each<bf16>);
    case GgmlType::kQ4_0:
      return run(each<q4_0>);
    case GgmlType::kQ4_1:
      return run(each<q4_1>);
    case GgmlType::kQ5_0:
      return run(each<q5_0>);
    case GgmlType::kQ5_1:
      return run(each<q5_1>);
    case GgmlType::kQ8_0:
      return run(each<q8_0>);
    case GgmlType::kQ4_K:
      return run(each<q4_k>);
    case GgmlType::kQ5_K:
      return run(each<q5_k>);
    case GgmlType::kQ6_K:
      return run(each<q6_k>);
  }
}

}  // namespace plumb
