// Built with AVX-512 and AVX512-BF16 enabled; includes nothing whose inline code other files could
// pick up.
#include "kernels/packing_avx512.hpp"

#include <immintrin.h>

namespace plumb::kernels {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kPanelLines = 32;

__mmask16 lanes(std::int64_t count) {
  if (count <= 0) return 0;
  return static_cast<__mmask16>(count >= kLanes ? 0xFFFF : (1 << count) - 1);
}

/// Sixteen bfloat16 values widened to 32 bits, zero beyond the mask.
__m512i halves(const std::uint16_t* from, __mmask16 mask) {
  return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
}
__m512i halves(const float* from, __mmask16 mask) {
  const __m512 values = _mm512_maskz_loadu_ps(mask, from);
  return _mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)));
}

template <class T>
void pair_panel(const T* from, std::int64_t rows, std::int64_t stride, std::int64_t valid,
                std::int64_t width, std::uint32_t* to) {
  const __mmask16 load_low = lanes(valid), load_high = lanes(valid - kLanes);
  const __mmask16 store_low = lanes(width), store_high = lanes(width - kLanes);
  for (std::int64_t row = 0; row < rows; row += 2, to += width) {
    const T* first = from + row * stride;
    const bool paired = row + 1 < rows;
    const T* second = paired ? first + stride : first;
    const auto put = [&](std::int64_t column, __mmask16 load, __mmask16 store) {
      const __m512i low = halves(first + column, load);
      const __m512i high = halves(second + column, paired ? load : static_cast<__mmask16>(0));
      _mm512_mask_storeu_epi32(to + column, store,
                               _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    };
    put(0, load_low, store_low);
    if (store_high != 0) put(kLanes, load_high, store_high);
  }
}

/// Sixteen groups of one line from element 2 * step on, zero beyond `columns`.
__m512i line_groups(const std::uint16_t* line, std::int64_t step, std::int64_t columns) {
  const std::int64_t left = columns - 2 * step;
  const __mmask32 mask = left >= 32 ? ~0U : (1U << left) - 1U;
  return _mm512_maskz_loadu_epi16(mask, line + 2 * step);
}
__m512i line_groups(const float* line, std::int64_t step, std::int64_t columns) {
  const std::int64_t left = columns - 2 * step;
  const __m512 low = _mm512_maskz_loadu_ps(lanes(left), line + 2 * step);
  const __m512 high = _mm512_maskz_loadu_ps(lanes(left - kLanes), line + 2 * step + kLanes);
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

/// Transposes a 16 x 16 block of 32-bit values.
void transpose(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xDD);
  }
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

template <class T>
void line_panel(const T* from, std::int64_t lines, std::int64_t columns, std::int64_t stride,
                std::uint32_t* to) {
  const std::int64_t steps = (columns + 1) / 2;
  for (std::int64_t step = 0; step < steps; step += kLanes) {
    const std::int64_t count = steps - step < kLanes ? steps - step : kLanes;
    for (std::int64_t first = 0; first < kPanelLines; first += kLanes) {
      __m512i block[16];
      for (std::int64_t n = 0; n < kLanes; ++n) {
        block[n] = first + n < lines ? line_groups(from + (first + n) * stride, step, columns)
                                     : _mm512_setzero_si512();
      }
      transpose(block);
      for (std::int64_t s = 0; s < count; ++s) {
        _mm512_storeu_si512(to + (step + s) * kPanelLines + first, block[s]);
      }
    }
  }
}

}  // namespace

void pair_panel_avx512(const std::uint16_t* from, std::int64_t rows, std::int64_t stride,
                       std::int64_t valid, std::int64_t width, std::uint32_t* to) {
  pair_panel(from, rows, stride, valid, width, to);
}
void pair_panel_avx512(const float* from, std::int64_t rows, std::int64_t stride,
                       std::int64_t valid, std::int64_t width, std::uint32_t* to) {
  pair_panel(from, rows, stride, valid, width, to);
}
void line_panel_avx512(const std::uint16_t* from, std::int64_t lines, std::int64_t columns,
                       std::int64_t stride, std::uint32_t* to) {
  line_panel(from, lines, columns, stride, to);
}
void line_panel_avx512(const float* from, std::int64_t lines, std::int64_t columns,
                       std::int64_t stride, std::uint32_t* to) {
  line_panel(from, lines, columns, stride, to);
}

}  // namespace plumb::kernels
