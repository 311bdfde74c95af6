// Built with AVX-512 and AVX512-BF16 enabled; includes nothing whose inline code other files could
// pick up.
#include <immintrin.h>

#include <cstddef>

#include "kernels/tile.hpp"

namespace plumb::kernels {
namespace {

struct MultiplyFloat32 {
  static __m512 add(__m512 sum, __m512i weights, __m512i x) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(weights), _mm512_castsi512_ps(x), sum);
  }
};
struct MultiplyBFloat16 {
  static __m512 add(__m512 sum, __m512i weights, __m512i x) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(weights),
                            reinterpret_cast<__m512bh>(x));
  }
};

struct StoreFloat32 {
  static void store(std::byte* y, std::int64_t column, __mmask16 mask, __m512 value) {
    _mm512_mask_storeu_ps(reinterpret_cast<float*>(y) + column, mask, value);
  }
};
struct AddFloat32 {
  static void store(std::byte* y, std::int64_t column, __mmask16 mask, __m512 value) {
    float* to = reinterpret_cast<float*>(y) + column;
    _mm512_mask_storeu_ps(to, mask, _mm512_add_ps(_mm512_maskz_loadu_ps(mask, to), value));
  }
};
struct StoreBFloat16 {
  static void store(std::byte* y, std::int64_t column, __mmask16 mask, __m512 value) {
    _mm256_mask_storeu_epi16(reinterpret_cast<std::uint16_t*>(y) + column, mask,
                             reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value)));
  }
};

inline __m512i broadcast_group(const std::byte* from) {
  return _mm512_set1_epi32(*reinterpret_cast<const int*>(from));
}

struct Columns {
  __mmask16 low, high;
  __m512 bias_low, bias_high;
};

/// Two zmm accumulators a row, kept in registers over the whole sum.
template <class Multiply, class Store, int kRows>
inline void tile(const PanelTask& task, std::int64_t first_row, const Columns& columns) {
  __m512 low[kRows], high[kRows];
  for (int m = 0; m < kRows; ++m) low[m] = high[m] = _mm512_setzero_ps();
  const std::byte* x = task.x + first_row * task.x_stride;
  const std::byte* w = task.panel;
  for (std::int64_t step = 0; step < task.steps; ++step) {
    const __m512i w_low = _mm512_load_si512(w), w_high = _mm512_load_si512(w + 64);
    _mm_prefetch(reinterpret_cast<const char*>(w + 4096), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(w + 4096 + 64), _MM_HINT_T0);
#pragma GCC unroll 12
    for (int m = 0; m < kRows; ++m) {
      const __m512i group = broadcast_group(x + m * task.x_stride);
      low[m] = Multiply::add(low[m], w_low, group);
      high[m] = Multiply::add(high[m], w_high, group);
    }
    x += kGroupBytes;
    w += kPanelStep;
  }
  std::byte* y = task.y + first_row * task.y_stride;
#pragma GCC unroll 12
  for (int m = 0; m < kRows; ++m) {
    Store::store(y, 0, columns.low, _mm512_add_ps(low[m], columns.bias_low));
    Store::store(y, 16, columns.high, _mm512_add_ps(high[m], columns.bias_high));
    y += task.y_stride;
  }
}

template <class Multiply, class Store>
void tile_of(const PanelTask& task, std::int64_t row, int rows, const Columns& columns) {
  switch (rows) {
    case 1:
      return tile<Multiply, Store, 1>(task, row, columns);
    case 2:
      return tile<Multiply, Store, 2>(task, row, columns);
    case 3:
      return tile<Multiply, Store, 3>(task, row, columns);
    case 4:
      return tile<Multiply, Store, 4>(task, row, columns);
    case 5:
      return tile<Multiply, Store, 5>(task, row, columns);
    case 6:
      return tile<Multiply, Store, 6>(task, row, columns);
    case 7:
      return tile<Multiply, Store, 7>(task, row, columns);
    case 8:
      return tile<Multiply, Store, 8>(task, row, columns);
    case 9:
      return tile<Multiply, Store, 9>(task, row, columns);
    case 10:
      return tile<Multiply, Store, 10>(task, row, columns);
    case 11:
      return tile<Multiply, Store, 11>(task, row, columns);
    default:
      return tile<Multiply, Store, 12>(task, row, columns);
  }
}

template <class Multiply, class Store>
void panel(const PanelTask& task) {
  const std::uint32_t valid = task.columns >= kPanel ? ~0U : (1U << task.columns) - 1U;
  Columns columns{static_cast<__mmask16>(valid & 0xFFFFU), static_cast<__mmask16>(valid >> 16),
                  _mm512_setzero_ps(), _mm512_setzero_ps()};
  if (task.bias != nullptr) {
    columns.bias_low = _mm512_maskz_loadu_ps(columns.low, task.bias);
    columns.bias_high = _mm512_maskz_loadu_ps(columns.high, task.bias + 16);
  }
  // Tiles of nearly equal height: 13 rows run as 7 + 6, not as 12 + 1.
  const std::int64_t tiles = (task.rows + kTileRows - 1) / kTileRows;
  std::int64_t row = 0;
  for (std::int64_t t = tiles; t > 0; --t) {
    const int rows = static_cast<int>((task.rows - row + t - 1) / t);
    tile_of<Multiply, Store>(task, row, rows, columns);
    row += rows;
  }
}

template <class Multiply>
void outer(const OuterTask& task) {
  constexpr int kRows = static_cast<int>(kTileRows);
  __m512 low[kRows], high[kRows];
  for (int m = 0; m < kRows; ++m) {
    low[m] = high[m] = _mm512_setzero_ps();
    // c is met only once a pass: without this the tile would end by waiting for memory.
    const float* c = task.c + (m < task.rows ? m : 0) * task.c_stride;
    _mm_prefetch(reinterpret_cast<const char*>(c), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(c + 16), _MM_HINT_T0);
  }
  const std::byte *a = task.a, *b = task.b;
  for (std::int64_t step = 0; step < task.steps; ++step) {
    const __m512i b_low = _mm512_load_si512(b), b_high = _mm512_load_si512(b + 64);
#pragma GCC unroll 12
    for (int m = 0; m < kRows; ++m) {
      const __m512i group = broadcast_group(a + m * kGroupBytes);
      low[m] = Multiply::add(low[m], b_low, group);
      high[m] = Multiply::add(high[m], b_high, group);
    }
    a += kTileRows * kGroupBytes;
    b += kPanelStep;
  }
  const std::uint32_t valid = task.columns >= kPanel ? ~0U : (1U << task.columns) - 1U;
  const auto mask_low = static_cast<__mmask16>(valid & 0xFFFFU);
  const auto mask_high = static_cast<__mmask16>(valid >> 16);
#pragma GCC unroll 12
  for (int m = 0; m < kRows; ++m) {
    if (m >= task.rows) break;
    float* c = task.c + m * task.c_stride;
    const __m512 c_low = _mm512_maskz_loadu_ps(mask_low, c);
    const __m512 c_high = _mm512_maskz_loadu_ps(mask_high, c + 16);
    _mm512_mask_storeu_ps(c, mask_low, _mm512_add_ps(c_low, low[m]));
    _mm512_mask_storeu_ps(c + 16, mask_high, _mm512_add_ps(c_high, high[m]));
  }
}

}  // namespace

void outer_float32_avx512(const OuterTask& task) { outer<MultiplyFloat32>(task); }
void outer_bfloat16_avx512(const OuterTask& task) { outer<MultiplyBFloat16>(task); }

void panel_float32_avx512(const PanelTask& task) { panel<MultiplyFloat32, StoreFloat32>(task); }
void panel_float32_add_avx512(const PanelTask& task) { panel<MultiplyFloat32, AddFloat32>(task); }
void panel_bfloat16_to_float32_add_avx512(const PanelTask& task) {
  panel<MultiplyBFloat16, AddFloat32>(task);
}
void panel_bfloat16_avx512(const PanelTask& task) { panel<MultiplyBFloat16, StoreBFloat16>(task); }
void panel_bfloat16_to_float32_avx512(const PanelTask& task) {
  panel<MultiplyBFloat16, StoreFloat32>(task);
}

}  // namespace plumb::kernels
