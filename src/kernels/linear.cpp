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

PanelFunction panel_function(Precision precision, bool float32_output) {
#ifdef PLUMB_X86_KERNELS
  if (precision == Precision::kFloat32) return panel_float32_avx512;
  return float32_output ? panel_bfloat16_to_float32_avx512 : panel_bfloat16_avx512;
#else
  static_cast<void>(precision), static_cast<void>(float32_output);
  return nullptr;
#endif
}

/// x in the element type of the weight, each row whole groups that can be read to their end.
at::Tensor readable_rows(const at::Tensor& x, const PackedWeight::Storage& weight) {
  const bool half = weight.precision == Precision::kBFloat16;
  at::Tensor rows = x.to(half ? at::kBFloat16 : at::kFloat);
  if (half && weight.inputs % 2 != 0) return at::constant_pad_nd(rows, {0, 1});
  const bool strided_rows =
      rows.stride(1) == 1 && (rows.size(0) == 1 || rows.stride(0) >= rows.size(1));
  return strided_rows ? rows : rows.contiguous();
}

at::Tensor packed_linear(const at::Tensor& x, const PackedWeight::Storage& weight,
                         const at::Tensor& bias, at::ScalarType output) {
  const at::Tensor rows = readable_rows(x, weight);
  const at::Tensor bias_float = bias.defined() ? bias.to(at::kFloat).contiguous() : bias;
  const bool half_output = output == at::kBFloat16;
  at::Tensor y = at::empty({x.size(0), weight.outputs}, x.options().dtype(output));

  const std::int64_t row_count = x.size(0), panels = weight.panels.size(0);
  const std::int64_t row_bytes = rows.stride(0) * rows.element_size();
  const std::int64_t block = rows_per_block(weight.steps() * kGroupBytes);
  const std::int64_t blocks = (row_count + block - 1) / block;
  const auto* x_data = static_cast<const std::byte*>(rows.const_data_ptr());
  const auto* w_data = static_cast<const std::byte*>(weight.panels.const_data_ptr());
  auto* y_data = static_cast<std::byte*>(y.data_ptr());
  const float* bias_data = bias.defined() ? bias_float.const_data_ptr<float>() : nullptr;
  const std::int64_t y_element = y.element_size(), y_stride = weight.outputs * y_element;
  const PanelFunction run = panel_function(weight.precision, !half_output);

  at::parallel_for(0, blocks * panels, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t row = task / panels * block, panel = task % panels;
      const std::int64_t column = panel * kPanel;
      run({.x = x_data + row * row_bytes,
           .x_stride = row_bytes,
           .rows = std::min(block, row_count - row),
           .panel = w_data + panel * weight.steps() * kPanelStep,
           .steps = weight.steps(),
           .bias = bias_data != nullptr ? bias_data + column : nullptr,
           .y = y_data + row * y_stride + column * y_element,
           .y_stride = y_stride,
           .columns = std::min(kPanel, weight.outputs - column)});
    }
  });
  return y;
}

at::Tensor portable_linear(const at::Tensor& x, const PackedWeight::Storage& weight,
                           const at::Tensor& bias, at::ScalarType output) {
  const at::Tensor rows = x.to(weight.plain.scalar_type());
  if (output == rows.scalar_type()) {
    return at::linear(rows, weight.plain, bias.defined() ? bias.to(output) : bias);
  }
  at::Tensor y = rows.is_cuda() ? at::mm(rows, weight.plain.t(), output)
                                : at::mm(rows.to(output), weight.plain.t().to(output));
  if (bias.defined()) y += bias;
  return y;
}

}  // namespace

at::Tensor linear(const at::Tensor& x, const PackedWeight& packed, const at::Tensor& bias,
                  bool float32_output) {
  const PackedWeight::Storage& weight = packed.storage();
  expects(x.dim() == 2 && x.size(1) == weight.inputs, "x of [M, inputs of the weight]");
  expects(x.scalar_type() == at::kFloat ||
              (x.scalar_type() == at::kBFloat16 && weight.precision == Precision::kBFloat16),
          "x of float32, or bfloat16 with bfloat16 weights");
  expects(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.outputs),
          "a bias of [outputs of the weight]");
  const at::ScalarType output = float32_output ? at::kFloat : x.scalar_type();
  if (x.size(0) == 0) return at::empty({0, weight.outputs}, x.options().dtype(output));
  return weight.packed() ? packed_linear(x, weight, bias, output)
                         : portable_linear(x, weight, bias, output);
}

}  // namespace plumb::kernels
