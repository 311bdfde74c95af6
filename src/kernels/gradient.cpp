#include "kernels/gradient.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <algorithm>

#include "core/error.hpp"
#include "kernels/packed_weight.hpp"
#include "kernels/packing.hpp"

namespace plumb::kernels {
namespace {

/// Rows summed in registers before they are added to the gradient: fixed, so that the order of the
/// sum is.
constexpr std::int64_t kBlockRows = 1024;
/// Register tiles of one task; its rows of dy stay in the second-level cache while a panel of x
/// passes.
constexpr std::int64_t kGroupTiles = 16;

at::Tensor packed_columns(const at::Tensor& matrix, std::int64_t first, std::int64_t rows,
                          std::int64_t width, Element element) {
  const std::int64_t panels = (matrix.size(1) + width - 1) / width;
  at::Tensor packed = at::empty({panels, steps_of(rows, element), width * kGroupBytes}, at::kByte);
  const auto* data = static_cast<const std::byte*>(matrix.const_data_ptr());
  const MatrixView view{data + first * matrix.stride(0) * matrix.element_size(), element_of(matrix),
                        rows, matrix.size(1), matrix.stride(0)};
  auto* to = static_cast<std::byte*>(packed.data_ptr());
  at::parallel_for(0, panels, 1, [&](std::int64_t begin, std::int64_t end) {
    pack_columns(view, element, width, to, begin, end);
  });
  return packed;
}

#ifdef PLUMB_X86_KERNELS
void accumulate_packed(at::Tensor& gradient, const at::Tensor& dy, const at::Tensor& x,
                       Element element) {
  const OuterFunction run =
      element == Element::kBFloat16 ? outer_bfloat16_avx512 : outer_float32_avx512;
  const std::int64_t outputs = dy.size(1), inputs = x.size(1);
  for (std::int64_t first = 0; first < dy.size(0); first += kBlockRows) {
    const std::int64_t rows = std::min(kBlockRows, dy.size(0) - first);
    const at::Tensor a = packed_columns(dy, first, rows, kTileRows, element);
    const at::Tensor b = packed_columns(x, first, rows, kPanel, element);
    const auto* a_data = static_cast<const std::byte*>(a.const_data_ptr());
    const auto* b_data = static_cast<const std::byte*>(b.const_data_ptr());
    auto* c_data = gradient.data_ptr<float>();
    const std::int64_t steps = a.size(1), tiles = a.size(0), panels = b.size(0);
    const std::int64_t groups = (tiles + kGroupTiles - 1) / kGroupTiles;
    const auto run_task = [&](std::int64_t task) {
      const std::int64_t group = task / panels, column = task % panels * kPanel;
      const std::int64_t last = std::min(tiles, (group + 1) * kGroupTiles);
      for (std::int64_t tile = group * kGroupTiles; tile < last; ++tile) {
        const std::int64_t row = tile * kTileRows;
        run({.a = a_data + tile * steps * kTileRows * kGroupBytes,
             .b = b_data + task % panels * steps * kPanelStep,
             .steps = steps,
             .c = c_data + row * gradient.stride(0) + column,
             .c_stride = gradient.stride(0),
             .rows = std::min(kTileRows, outputs - row),
             .columns = std::min(kPanel, inputs - column)});
      }
    };
    at::parallel_for(0, groups * panels, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t task = begin; task < end; ++task) run_task(task);
    });
  }
}
#endif

}  // namespace

void accumulate_weight_gradient(at::Tensor gradient, const at::Tensor& dy, const at::Tensor& x,
                                Precision precision, Implementation implementation) {
  expects(gradient.scalar_type() == at::kFloat && gradient.stride(1) == 1,
          "a float32 gradient with contiguous rows");
  expects(
      gradient.size(0) == dy.size(1) && gradient.size(1) == x.size(1) && dy.size(0) == x.size(0),
      "a gradient [N, K] for dy [M, N] and x [M, K]");
  expects(dy.stride(1) == 1 && x.stride(1) == 1, "contiguous rows of dy and x");
#ifdef PLUMB_X86_KERNELS
  const bool half = precision == Precision::kBFloat16;
  const bool typed = half || (dy.scalar_type() == at::kFloat && x.scalar_type() == at::kFloat);
  if (implementation == Implementation::kBest && gradient.is_cpu() && typed &&
      (half ? cpu_has_avx512_bf16() : cpu_has_avx512())) {
    return accumulate_packed(gradient, dy, x, packed_element(precision));
  }
#endif
  const auto type = precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
  gradient.addmm_(dy.t().to(type).to(at::kFloat), x.to(type).to(at::kFloat));
}

}  // namespace plumb::kernels
