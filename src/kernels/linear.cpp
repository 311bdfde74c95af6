#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <algorithm>

#include "core/error.hpp"
#include "kernels/packed_weight.hpp"
#include "kernels/tile.hpp"

namespace plumb::kernels {
namespace {

/// Rows of x are taken in blocks that stay in the second-level cache while all panels pass by.
constexpr std::int64_t kBlockBytes = 384 * 1024;

std::int64_t rows_per_block(std::int64_t row_bytes) {
  const std::int64_t tiles = std::max<std::int64_t>(1, kBlockBytes / (row_bytes * kTileRows));
  return tiles * kTileRows;
}

/// What happens to the float32 sums.
enum class Store { kRounded, kFloat32, kAdded };

PanelFunction panel_function(Precision precision, Store store) {
#ifdef PLUMB_X86_KERNELS
  const bool half = precision == Precision::kBFloat16;
  switch (store) {
    case Store::kRounded:
      return half ? panel_bfloat16_avx512 : panel_float32_avx512;
    case Store::kFloat32:
      return half ? panel_bfloat16_to_float32_avx512 : panel_float32_avx512;
    case Store::kAdded:
      return half ? panel_bfloat16_to_float32_add_avx512 : panel_float32_add_avx512;
  }
#else
  static_cast<void>(precision), static_cast<void>(store);
#endif
  return nullptr;
}

/// x in the element type of the weight, each row whole groups that can be read to their end.
at::Tensor readable_rows(const at::Tensor& x, const PackedWeight::Storage& weight) {
  const bool half = weight.precision == Precision::kBFloat16;
  at::Tensor rows = x.to(half ? at::kBFloat16 : at::kFloat);
  if (half && x.size(1) % 2 != 0) return at::constant_pad_nd(rows, {0, 1});
  const bool strided_rows =
      rows.stride(1) == 1 && (rows.size(0) == 1 || rows.stride(0) >= rows.size(1));
  return strided_rows ? rows : rows.contiguous();
}

/// A part of a packed weight: outputs from a panel's first on, inputs from a step on.
struct Part {
  std::int64_t first_panel, outputs, first_step;
};

/// y [M, part.outputs] from x [M, inputs from part.first_step on].
void run_panels(const at::Tensor& x, const PackedWeight::Storage& weight, const Part& part,
                const at::Tensor& bias, Store store, at::Tensor& y) {
  const at::Tensor rows = readable_rows(x, weight);
  const std::int64_t row_count = x.size(0), panels = (part.outputs + kPanel - 1) / kPanel;
  const std::int64_t steps = steps_of(x.size(1), packed_element(weight.precision));
  const std::int64_t row_bytes = rows.stride(0) * rows.element_size();
  const std::int64_t block = rows_per_block(steps * kGroupBytes);
  const std::int64_t blocks = (row_count + block - 1) / block;
  const auto* x_data = static_cast<const std::byte*>(rows.const_data_ptr());
  const auto* w_data = static_cast<const std::byte*>(weight.panels.const_data_ptr());
  auto* y_data = static_cast<std::byte*>(y.data_ptr());
  const float* bias_data = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  const std::int64_t y_element = y.element_size(), y_stride = y.stride(0) * y_element;
  const PanelFunction run = panel_function(weight.precision, store);

  at::parallel_for(0, blocks * panels, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t row = task / panels * block, panel = task % panels;
      const std::int64_t column = panel * kPanel;
      const std::int64_t step = (part.first_panel + panel) * weight.steps() + part.first_step;
      run({.x = x_data + row * row_bytes,
           .x_stride = row_bytes,
           .rows = std::min(block, row_count - row),
           .panel = w_data + step * kPanelStep,
           .steps = steps,
           .bias = bias_data != nullptr ? bias_data + column : nullptr,
           .y = y_data + row * y_stride + column * y_element,
           .y_stride = y_stride,
           .columns = std::min(kPanel, part.outputs - column)});
    }
  });
}

/// x * weight^T with float32 results of a portable weight. @param weight [N, K]
at::Tensor portable_product(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor rows = x.to(weight.scalar_type());
  if (rows.is_cuda() && rows.scalar_type() != at::kFloat) {
    return at::mm(rows, weight.t(), at::kFloat);
  }
  return at::mm(rows.to(at::kFloat), weight.t().to(at::kFloat));
}

void check(const at::Tensor& x, const PackedWeight::Storage& weight, std::int64_t inputs) {
  expects(x.dim() == 2 && x.size(1) == inputs, "x of [M, inputs of the weight]");
  expects(x.scalar_type() == at::kFloat ||
              (x.scalar_type() == at::kBFloat16 && weight.precision == Precision::kBFloat16),
          "x of float32, or bfloat16 with bfloat16 weights");
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const PackedWeight& packed, const at::Tensor& bias,
                  bool float32_output) {
  const PackedWeight::Storage& weight = packed.storage();
  check(x, weight, weight.inputs);
  expects(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.outputs),
          "a bias of [outputs of the weight]");
  const at::ScalarType output = float32_output ? at::kFloat : x.scalar_type();
  if (weight.packed()) {
    at::Tensor y = at::empty({x.size(0), weight.outputs}, x.options().dtype(output));
    const at::Tensor full_bias = bias.defined() ? bias.to(at::kFloat).contiguous() : bias;
    run_panels(x, weight, {0, weight.outputs, 0}, full_bias,
               output == at::kBFloat16 ? Store::kRounded : Store::kFloat32, y);
    return y;
  }
  if (output == weight.plain.scalar_type()) {
    return at::linear(x.to(output), weight.plain, bias.defined() ? bias.to(output) : bias);
  }
  at::Tensor y = portable_product(x, weight.plain);
  if (bias.defined()) y += bias;
  return y.to(output);
}

at::Tensor linear_outputs(const at::Tensor& x, const PackedWeight& packed, std::int64_t first,
                          std::int64_t count) {
  const PackedWeight::Storage& weight = packed.storage();
  check(x, weight, weight.inputs);
  expects(first >= 0 && first % kPanel == 0 && count > 0 && first + count <= weight.outputs,
          "outputs of the weight from a multiple of 32 on");
  if (!weight.packed()) return portable_product(x, weight.plain.narrow(0, first, count));
  at::Tensor y = at::empty({x.size(0), count}, x.options().dtype(at::kFloat));
  run_panels(x, weight, {first / kPanel, count, 0}, {}, Store::kFloat32, y);
  return y;
}

void add_linear_inputs(at::Tensor& y, const at::Tensor& x, const PackedWeight& packed,
                       std::int64_t first) {
  const PackedWeight::Storage& weight = packed.storage();
  check(x, weight, x.size(1));
  expects(first >= 0 && first % 2 == 0 && first + x.size(1) <= weight.inputs,
          "inputs of the weight from an even number on");
  expects(y.scalar_type() == at::kFloat && y.is_contiguous() && y.size(0) == x.size(0) &&
              y.size(1) == weight.outputs,
          "contiguous float32 sums [M, outputs of the weight]");
  if (!weight.packed()) {
    y += portable_product(x, weight.plain.narrow(1, first, x.size(1)));
    return;
  }
  const std::int64_t step = steps_of(first, packed_element(weight.precision));
  run_panels(x, weight, {0, weight.outputs, step}, {}, Store::kAdded, y);
}

}  // namespace plumb::kernels
