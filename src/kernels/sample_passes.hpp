// The passes of sample.hpp over 16-lane vectors, included by one file for each instruction set.
// Everything is local to the including file and calls no inline library function, so code built for
// one instruction set never runs on another machine.
#include <cstdint>

#include "kernels/sample.hpp"
#include "kernels/vector16.hpp"

namespace plumb::kernels {
namespace {

RowMaximum pass_maximum(const float* x, std::int64_t n) {
  Float16 largest = broadcast(x[0]), poison{};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Float16 value = load(x + i);
    largest = larger(value, largest);
    poison += value - value;  // stays 0 for finite values only
  }
  float top = largest[0], bad = 0;
  for (int lane = 0; lane < kLanes; ++lane) {
    top = largest[lane] > top ? largest[lane] : top;
    bad += poison[lane];
  }
  for (; i < n; ++i) {
    top = x[i] > top ? x[i] : top;
    bad += x[i] - x[i];
  }
  return {top, bad == 0.0F};
}

double pass_exponentials(const float* x, std::int64_t n, float shift, float scale, float* mass,
                         double* block_sums) {
  const Float16 shifts = broadcast(shift), scales = broadcast(scale);
  double total = 0;
  for (std::int64_t begin = 0, block = 0; begin < n; begin += kMassBlock, ++block) {
    const std::int64_t end = begin + kMassBlock < n ? begin + kMassBlock : n;
    Float16 sum{};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const Float16 e = exponential((load(x + i) - shifts) * scales);
      if (mass != nullptr) store(mass + i, e);
      sum += e;
    }
    if (i < end) {
      Float16 rest{};
      for (std::int64_t j = i; j < end; ++j) rest.set(static_cast<int>(j - i), x[j]);
      rest = exponential((rest - shifts) * scales);
      for (std::int64_t j = i; j < end; ++j) {
        const int lane = static_cast<int>(j - i);
        if (mass != nullptr) mass[j] = rest[lane];
        sum.set(lane, sum[lane] + rest[lane]);
      }
    }
    block_sums[block] = lane_sum(sum);
    total += block_sums[block];
  }
  return total;
}

void pass_masses_above(const float* mass, std::int64_t n, const float* cuts, MassAbove* above) {
  Float16 cut[kCuts];
  for (int c = 0; c < kCuts; ++c) {
    cut[c] = broadcast(cuts[c]);
    above[c] = {0, 0.0};
  }
  constexpr std::int64_t kStride =
      8 * kMassBlock;  // float32 sums are short, so that they stay exact to 1e-6
  for (std::int64_t begin = 0; begin < n; begin += kStride) {
    const std::int64_t end = begin + kStride < n ? begin + kStride : n;
    Float16 sum[kCuts]{};
    Int16 count[kCuts]{};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const Float16 value = load(mass + i);
#pragma GCC unroll 8
      for (int c = 0; c < kCuts; ++c) {
        const auto inside = value >= cut[c];
        sum[c] += choose(inside, value, Float16{});
        count[c] = count[c] - inside;
      }
    }
#pragma GCC unroll 8  // keeps the sums in registers
    for (int c = 0; c < kCuts; ++c) {
      above[c].mass += lane_sum(sum[c]);
      above[c].count += lane_sum(count[c]);
      for (std::int64_t j = i; j < end; ++j) {
        if (mass[j] < cuts[c]) continue;
        above[c].mass += mass[j];
        ++above[c].count;
      }
    }
  }
}

std::int64_t pass_collect(const float* mass, std::int64_t n, float low, float high,
                          std::int32_t* index) {
  std::int64_t found = 0;
  std::int64_t i = 0;
#ifdef __AVX512F__
  const __m512 lows = _mm512_set1_ps(low), highs = _mm512_set1_ps(high);
  __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (; i + kLanes <= n; i += kLanes) {
    const __m512 values = _mm512_loadu_ps(mass + i);
    const __mmask16 inside = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(values, lows, _CMP_GE_OQ),
                                                     values, highs, _CMP_LT_OQ);
    if (inside != 0) {
      // Compressing in a register and storing whole vectors is faster than a compressing store.
      _mm512_storeu_si512(index + found, _mm512_maskz_compress_epi32(inside, lanes));
      found += __builtin_popcount(inside);
    }
    lanes = _mm512_add_epi32(lanes, _mm512_set1_epi32(kLanes));
  }
#endif
  for (; i < n; ++i) {
    index[found] = static_cast<std::int32_t>(i);
    found += static_cast<std::int64_t>(mass[i] >= low) & static_cast<std::int64_t>(mass[i] < high);
  }
  return found;
}

double pass_keep(float* mass, std::int64_t n, float cut, std::int64_t last_tie,
                 double* block_sums) {
  const Float16 cuts = broadcast(cut);
  double total = 0;
  for (std::int64_t begin = 0, block = 0; begin < n; begin += kMassBlock, ++block) {
    const std::int64_t end = begin + kMassBlock < n ? begin + kMassBlock : n;
    Float16 sum{};
    std::int64_t i = begin;
    if (end <= last_tie + 1 || begin > last_tie) {
      const bool ties = begin <= last_tie;
      for (; i + kLanes <= end; i += kLanes) {
        const Float16 value = load(mass + i);
        const Float16 kept = choose(ties ? value >= cuts : value > cuts, value, Float16{});
        store(mass + i, kept);
        sum += kept;
      }
    }
    double rest = lane_sum(sum);
    for (; i < end; ++i) {
      if (mass[i] < cut || (mass[i] == cut && i > last_tie)) mass[i] = 0;
      rest += mass[i];
    }
    block_sums[block] = rest;
    total += rest;
  }
  return total;
}

constexpr SamplePasses kPasses{pass_maximum, pass_exponentials, pass_masses_above, pass_collect,
                               pass_keep};

}  // namespace
}  // namespace plumb::kernels
