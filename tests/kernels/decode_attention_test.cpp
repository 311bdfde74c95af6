#include "kernels/decode_attention.hpp"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/bfloat16.hpp"
#include "kernels/tile.hpp"

#include "support/catch.hpp"

using namespace plumb::kernels;

namespace {

float to_float(float value) { return value; }
float to_float(std::uint16_t value) { return from_bfloat16(value); }
void set(float& to, float value) { to = value; }
void set(std::uint16_t& to, float value) { to = to_bfloat16(value); }

struct Case {
  std::int64_t head_dim, group, prefix, own;
};

/// Largest difference from attention computed in double on the same rounded values. Memory is
/// poisoned with NaN first.
template <class T>
double worst_error(AttentionFunction attention, const Case& c) {
  std::mt19937 generator(
      static_cast<unsigned>(c.head_dim * 1000 + c.group * 100 + c.prefix + c.own));
  std::normal_distribution<float> normal;
  const std::int64_t head_bytes = cache_head_bytes(c.head_dim, sizeof(T)), offset = 64;
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::byte*> blocks[2];
  std::vector<double> keys, values;
  const auto size = static_cast<std::size_t>(c.head_dim);
  for (int span = 0; span < 2; ++span) {
    for (std::int64_t t = 0; t < (span == 0 ? c.prefix : c.own); ++t) {
      if (t % kCacheTokens == 0) {
        memory.emplace_back(static_cast<std::size_t>(offset + head_bytes + 64), std::byte{0xFF});
        blocks[span].push_back(memory.back().data());
      }
      std::vector<T> key(size), value(size);
      for (std::size_t d = 0; d < size; ++d) {
        set(key[d], normal(generator));
        set(value[d], normal(generator));
        keys.push_back(static_cast<double>(to_float(key[d])));
        values.push_back(static_cast<double>(to_float(value[d])));
      }
      append_to_cache(blocks[span].back() + offset, t % kCacheTokens, key.data(), value.data(),
                      c.head_dim);
    }
  }
  std::vector<T> query(size * static_cast<std::size_t>(c.group)), out(query.size());
  for (T& q : query) set(q, normal(generator));
  const float scale = 0.4F;
  const std::int64_t stride = attention_stride(c.prefix + c.own);
  std::vector<float> scores(static_cast<std::size_t>(c.group * stride), std::nanf(""));
  std::vector<T> weights(scores.size());
  attention({query.data(),
             out.data(),
             {{blocks[0].data(), c.prefix}, {blocks[1].data(), c.own}},
             offset,
             c.group,
             c.head_dim,
             scale,
             scores.data(),
             weights.data(),
             stride});

  double worst = 0;
  const std::size_t tokens = static_cast<std::size_t>(c.prefix + c.own);
  for (std::size_t g = 0; g < static_cast<std::size_t>(c.group); ++g) {
    std::vector<double> weight(tokens);
    double total = 0;
    for (std::size_t t = 0; t < tokens; ++t) {
      double score = 0;
      for (std::size_t d = 0; d < size; ++d)
        score += static_cast<double>(to_float(query[g * size + d])) * keys[t * size + d];
      weight[t] = std::exp(score * static_cast<double>(scale));
      total += weight[t];
    }
    for (std::size_t d = 0; d < size; ++d) {
      double expected = 0;
      for (std::size_t t = 0; t < tokens; ++t) expected += weight[t] / total * values[t * size + d];
      const double error = std::abs(static_cast<double>(to_float(out[g * size + d])) - expected) /
                           std::max(1.0, std::abs(expected));
      worst = std::isnan(error) ? 1e9 : std::max(worst, error);
    }
  }
  return worst;
}

const std::vector<Case> kCases{{64, 3, 0, 1},   {64, 3, 33, 5},  {64, 3, 32, 64},
                               {16, 1, 1, 16},  {2, 2, 5, 31},   {24, 7, 70, 31},
                               {80, 4, 3, 129}, {128, 8, 70, 0}, {256, 5, 17, 2}};

}  // namespace

TEST_CASE("decode attention agrees with double arithmetic", "[unit][decode_attention]") {
  for (const Case& c : kCases) {
    CHECK(worst_error<float>(attend_float32_portable, c) < 1e-5);
    // Half a unit of the rounded result and of the rounded weights: 2^-9 each, and sums.
    CHECK(worst_error<std::uint16_t>(attend_bfloat16_portable, c) < 8e-3);
    if (cpu_has_avx512()) CHECK(worst_error<float>(attend_float32_avx512, c) < 1e-5);
    if (cpu_has_avx512_bf16()) CHECK(worst_error<std::uint16_t>(attend_bfloat16_avx512, c) < 8e-3);
  }
}
