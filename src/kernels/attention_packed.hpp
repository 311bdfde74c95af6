#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/attention.hpp"
#include "kernels/packing.hpp"

/// The pieces that the packed attention forward and backward share. Keys and values of each
/// (segment, key head) are copied together, prefix first, and packed once; blocks of query rows
/// then run through the matrix micro-kernels.
namespace plumb::kernels::packed {

/// A segment with its keys: the rows of its prefix, then its own.
struct Span {
  std::int64_t first, length, prefix_first, prefix_length;
  std::int64_t keys_before;  // keys of all earlier spans
  std::int64_t keys() const { return prefix_length + length; }
};

std::vector<Span> spans_of(const RaggedBatch& batch);

/// Element type and micro-kernels of a C++ type: float, or std::uint16_t for bfloat16.
template <class T>
struct Typed;
template <>
struct Typed<float> {
  static constexpr Element kElement = Element::kFloat32;
  static PanelFunction panel() { return panel_float32_avx512; }
  static OuterFunction outer() { return outer_float32_avx512; }
};
template <>
struct Typed<std::uint16_t> {
  static constexpr Element kElement = Element::kBFloat16;
  static PanelFunction panel() { return panel_bfloat16_to_float32_avx512; }
  static OuterFunction outer() { return outer_bfloat16_avx512; }
};

constexpr std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// The keys (or values) of one (span, key head) pair in packed form.
/// kAcrossKeys: outputs are keys, sums run over the head; kAcrossHead: outputs are head columns,
/// sums run over keys.
enum class PackedAs { kAcrossKeys, kAcrossHead };

/// Packed operands of every (span, key head), each at a 64-byte aligned place of one buffer.
class PackedHeads {
 public:
  /// @param qkv fused rows   @param column first column of the keys or values
  template <class T>
  void pack(const T* qkv, std::int64_t column, PackedAs form, const std::vector<Span>& spans,
            const AttentionShape& shape);

  const std::byte* at(std::size_t span, std::int64_t head) const {
    return static_cast<const std::byte*>(data_.const_data_ptr()) + offsets_[span] +
           head * (offsets_[span + 1] - offsets_[span]) / heads_;
  }

 private:
  at::Tensor data_;
  std::vector<std::int64_t> offsets_;  // bytes, one a span
  std::int64_t heads_ = 1;
};

/// y [rows, columns] float32 = x * packed^T over `panels` panels of `steps` steps.
struct Product {
  PanelFunction run;
  const std::byte* packed;
  std::int64_t panel_steps;  // steps between panels in memory
  std::int64_t steps;        // steps summed
  std::int64_t outputs;
};
void multiply(const Product& product, const void* x, std::int64_t x_stride_bytes, std::int64_t rows,
              float* y, std::int64_t y_stride);

bool available(at::ScalarType type, const AttentionShape& shape);

at::Tensor attention(const at::Tensor& qkv, const RaggedBatch& batch, const AttentionShape& shape,
                     at::Tensor* logsumexp);
at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                              const at::Tensor& logsumexp, const RaggedBatch& batch,
                              const AttentionShape& shape);

}  // namespace plumb::kernels::packed
