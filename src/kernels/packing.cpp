#include "kernels/packing.hpp"

#include <algorithm>

#ifdef PLUMB_X86_KERNELS
#include "kernels/packing_avx512.hpp"
#endif
#include "kernels/vector_clones.hpp"
#include "kernels/vector_math.hpp"

namespace plumb::kernels {
namespace {

using Half = std::uint16_t;

[[gnu::always_inline]] inline std::uint32_t half_bits(const float* from) {
  return to_bfloat16(*from);
}
[[gnu::always_inline]] inline std::uint32_t half_bits(const Half* from) { return *from; }

/// One panel of the transpose: groups (row 2s, row 2s + 1) of `valid` columns, zero up to `width`.
template <class T>
[[gnu::always_inline]] inline void pair_panel(const T* from, std::int64_t rows, std::int64_t stride,
                                              std::int64_t valid, std::int64_t width,
                                              std::uint32_t* to) {
  for (std::int64_t row = 0; row < rows; row += 2, to += width) {
    const T* first = from + row * stride;
    const T* second = first + stride;
    if (row + 1 < rows) {
#pragma omp simd
      for (std::int64_t n = 0; n < valid; ++n) {
        to[n] = half_bits(first + n) | (half_bits(second + n) << 16);
      }
    } else {
      for (std::int64_t n = 0; n < valid; ++n) to[n] = half_bits(first + n);
    }
    for (std::int64_t n = valid; n < width; ++n) to[n] = 0;
  }
}

PLUMB_VECTOR_CLONES void column_panel(const float* from, std::int64_t rows, std::int64_t stride,
                                      std::int64_t valid, std::int64_t width, std::uint32_t* to) {
  pair_panel(from, rows, stride, valid, width, to);
}
PLUMB_VECTOR_CLONES void column_panel(const Half* from, std::int64_t rows, std::int64_t stride,
                                      std::int64_t valid, std::int64_t width, std::uint32_t* to) {
  pair_panel(from, rows, stride, valid, width, to);
}

/// One panel of the transpose in bfloat16, by the best loop this processor has.
template <class T>
void bfloat16_column_panel(const T* from, const MatrixView& matrix, std::int64_t valid,
                           std::int64_t width, std::uint32_t* to) {
#ifdef PLUMB_X86_KERNELS
  if (cpu_has_avx512_bf16() && width <= kPanel) {
    return pair_panel_avx512(from, matrix.rows, matrix.stride, valid, width, to);
  }
#endif
  column_panel(from, matrix.rows, matrix.stride, valid, width, to);
}

void column_panel_float32(const float* from, std::int64_t rows, std::int64_t stride,
                          std::int64_t valid, std::int64_t width, float* to) {
  for (std::int64_t row = 0; row < rows; ++row, to += width) {
    std::copy_n(from + row * stride, valid, to);
    std::fill_n(to + valid, width - valid, 0.0F);
  }
}

/// Steps are taken 16 at a time, so that both the lines read and the panel written stay in the
/// first-level cache.
constexpr std::int64_t kStepBlock = 16;

/// One panel along rows; `group(line, step)` gives a group of line n of `valid` lines.
template <class Group>
[[gnu::always_inline]] inline void line_panel(std::int64_t valid, std::int64_t steps,
                                              std::uint32_t* to, const Group& group) {
  for (std::int64_t begin = 0; begin < steps; begin += kStepBlock) {
    const std::int64_t end = std::min(steps, begin + kStepBlock);
    for (std::int64_t n = 0; n < valid; ++n) {
      for (std::int64_t s = begin; s < end; ++s) to[s * kPanel + n] = group(n, s);
    }
    for (std::int64_t n = valid; n < kPanel; ++n) {
      for (std::int64_t s = begin; s < end; ++s) to[s * kPanel + n] = 0;
    }
  }
}

template <class T>
void half_line_panel(const T* from, const MatrixView& matrix, std::int64_t valid,
                     std::uint32_t* to) {
#ifdef PLUMB_X86_KERNELS
  if (cpu_has_avx512_bf16()) {
    return line_panel_avx512(from, valid, matrix.columns, matrix.stride, to);
  }
#endif
  const std::int64_t pairs = matrix.columns / 2, stride = matrix.stride;
  line_panel(valid, pairs, to, [=](std::int64_t n, std::int64_t s) {
    const T* pair = from + n * stride + 2 * s;
    return half_bits(pair) | (half_bits(pair + 1) << 16);
  });
  if (matrix.columns % 2 == 0) return;
  line_panel(valid, 1, to + pairs * kPanel, [=](std::int64_t n, std::int64_t) {
    return half_bits(from + n * stride + 2 * pairs);
  });
}

}  // namespace

void pack_rows(const MatrixView& matrix, Element target, std::byte* panels, std::int64_t first,
               std::int64_t last) {
  const std::int64_t steps = steps_of(matrix.columns, target);
  for (std::int64_t panel = first; panel < last; ++panel) {
    const std::int64_t row = panel * kPanel, valid = std::min(kPanel, matrix.rows - row);
    auto* to = reinterpret_cast<std::uint32_t*>(panels) + panel * steps * kPanel;
    if (matrix.element == Element::kBFloat16) {
      half_line_panel(static_cast<const Half*>(matrix.data) + row * matrix.stride, matrix, valid,
                      to);
      continue;
    }
    const float* from = static_cast<const float*>(matrix.data) + row * matrix.stride;
    if (target == Element::kBFloat16) {
      half_line_panel(from, matrix, valid, to);
    } else {
      line_panel(valid, steps, to, [&](std::int64_t n, std::int64_t s) {
        return std::bit_cast<std::uint32_t>(from[n * matrix.stride + s]);
      });
    }
  }
}

void pack_columns(const MatrixView& matrix, Element target, std::int64_t width, std::byte* panels,
                  std::int64_t first, std::int64_t last) {
  const std::int64_t steps = steps_of(matrix.rows, target);
  for (std::int64_t panel = first; panel < last; ++panel) {
    const std::int64_t column = panel * width, valid = std::min(width, matrix.columns - column);
    std::byte* to = panels + panel * steps * width * kGroupBytes;
    if (matrix.element == Element::kBFloat16) {
      bfloat16_column_panel(static_cast<const Half*>(matrix.data) + column, matrix, valid, width,
                            reinterpret_cast<std::uint32_t*>(to));
      continue;
    }
    const float* from = static_cast<const float*>(matrix.data) + column;
    if (target == Element::kBFloat16) {
      bfloat16_column_panel(from, matrix, valid, width, reinterpret_cast<std::uint32_t*>(to));
    } else {
      column_panel_float32(from, matrix.rows, matrix.stride, valid, width,
                           reinterpret_cast<float*>(to));
    }
  }
}

}  // namespace plumb::kernels
