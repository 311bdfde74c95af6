#pragma once
#include <cstddef>
#include <cstdint>

/// The matrix micro-kernels, free of torch so that files built for one instruction set include
/// nothing else.
///
/// A packed operand is cut into panels of kPanel rows; a panel holds, step by step along the summed
/// dimension, one 32-bit group a row: one float32, or two neighbouring bfloat16. Missing rows and
/// an odd last bfloat16 are zero.
namespace plumb::kernels {

constexpr std::int64_t kPanel = 32;      // outputs in one panel of a packed weight
constexpr std::int64_t kTileRows = 12;   // rows of the other operand in one register tile
constexpr std::int64_t kGroupBytes = 4;  // one float32 or a pair of bfloat16
constexpr std::int64_t kPanelStep = kPanel * kGroupBytes;  // bytes of a panel a step

enum class Element { kFloat32, kBFloat16 };

/// Steps of a sum over `count` elements.
constexpr std::int64_t steps_of(std::int64_t count, Element element) {
  return element == Element::kBFloat16 ? (count + 1) / 2 : count;
}

/// Rows times one panel: y[m][n] = bias[n] + sum over steps of x[m] * w[n], float32 accumulation in
/// step order.
struct PanelTask {
  const std::byte* x;     // first row; a row's groups are contiguous
  std::int64_t x_stride;  // bytes between rows
  std::int64_t rows;
  const std::byte* panel;  // [steps][kPanel] groups, 64-byte aligned
  std::int64_t steps;
  const float* bias;      // [columns] or null
  std::byte* y;           // first row, first column of the panel
  std::int64_t y_stride;  // bytes between rows
  std::int64_t columns;   // valid columns of the panel, 1 .. kPanel
};

/// One register tile of a sum of outer products: c[m][n] += sum over steps of a[m] * b[n].
struct OuterTask {
  const std::byte* a;  // [steps][kTileRows] groups
  const std::byte* b;  // [steps][kPanel] groups, 64-byte aligned
  std::int64_t steps;
  float* c;               // first row, first column
  std::int64_t c_stride;  // floats between rows
  std::int64_t rows;      // valid rows, 1 .. kTileRows
  std::int64_t columns;   // valid columns, 1 .. kPanel
};

using PanelFunction = void (*)(const PanelTask& task);
using OuterFunction = void (*)(const OuterTask& task);

/// Built with AVX-512 (and AVX512-BF16): call only where cpu_has_avx512() (cpu_has_avx512_bf16())
/// is true.
void panel_float32_avx512(const PanelTask& task);
void panel_float32_add_avx512(const PanelTask& task);              // added to y
void panel_bfloat16_avx512(const PanelTask& task);                 // y bfloat16
void panel_bfloat16_to_float32_avx512(const PanelTask& task);      // y float32
void panel_bfloat16_to_float32_add_avx512(const PanelTask& task);  // added to y float32
void outer_float32_avx512(const OuterTask& task);
void outer_bfloat16_avx512(const OuterTask& task);

bool cpu_has_avx512();
bool cpu_has_avx512_bf16();

}  // namespace plumb::kernels
