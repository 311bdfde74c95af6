#include "kernels/attention_packed.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>

namespace plumb::kernels::packed {
namespace {

std::int64_t packed_bytes(const Span& span, PackedAs form, Element element, std::int64_t head_dim) {
  const bool across_keys = form == PackedAs::kAcrossKeys;
  const std::int64_t outputs = across_keys ? span.keys() : head_dim;
  const std::int64_t summed = across_keys ? head_dim : span.keys();
  return round_up(outputs, kPanel) * steps_of(summed, element) * kGroupBytes;
}

/// Rows of one head, prefix first, end to end.
template <class T>
void gather(const T* column, std::int64_t stride, const Span& span, std::int64_t head_dim, T* to) {
  const auto copy = [&](std::int64_t first, std::int64_t rows) {
    for (std::int64_t row = first; row < first + rows; ++row, to += head_dim) {
      std::copy_n(column + row * stride, head_dim, to);
    }
  };
  copy(span.prefix_first, span.prefix_length);
  copy(span.first, span.length);
}

}  // namespace

std::vector<Span> spans_of(const RaggedBatch& batch) {
  std::vector<Span> spans;
  std::int64_t keys = 0;
  for (std::int64_t s = 0; s < batch.segments(); ++s) {
    const std::int64_t prefix = batch.prefix[s];
    spans.push_back({batch.offsets[s], batch.length(s), prefix < 0 ? 0 : batch.offsets[prefix],
                     prefix < 0 ? 0 : batch.length(prefix), keys});
    keys += spans.back().keys();
  }
  return spans;
}

template <class T>
void PackedHeads::pack(const T* qkv, std::int64_t column, PackedAs form,
                       const std::vector<Span>& spans, const AttentionShape& shape) {
  constexpr Element kElement = Typed<T>::kElement;
  const std::int64_t head_dim = shape.head_dim;
  heads_ = shape.kv_heads;
  offsets_.assign(1, 0);
  for (const Span& span : spans) {
    offsets_.push_back(offsets_.back() + heads_ * packed_bytes(span, form, kElement, head_dim));
  }
  data_ = at::empty({offsets_.back()}, at::kByte);
  const auto tasks = static_cast<std::int64_t>(spans.size()) * heads_;
  at::parallel_for(0, tasks, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<T> rows;
    for (std::int64_t task = begin; task < end; ++task) {
      const auto s = static_cast<std::size_t>(task / heads_);
      const std::int64_t head = task % heads_;
      const Span& span = spans[s];
      rows.resize(static_cast<std::size_t>(span.keys() * head_dim));
      gather(qkv + column + head * head_dim, shape.fused_width(), span, head_dim, rows.data());
      const MatrixView view{rows.data(), kElement, span.keys(), head_dim, head_dim};
      auto* to = const_cast<std::byte*>(at(s, head));
      if (form == PackedAs::kAcrossKeys) {
        pack_rows(view, kElement, to, 0, (span.keys() + kPanel - 1) / kPanel);
      } else {
        pack_columns(view, kElement, kPanel, to, 0, (head_dim + kPanel - 1) / kPanel);
      }
    }
  });
}

template void PackedHeads::pack(const float*, std::int64_t, PackedAs, const std::vector<Span>&,
                                const AttentionShape&);
template void PackedHeads::pack(const std::uint16_t*, std::int64_t, PackedAs,
                                const std::vector<Span>&, const AttentionShape&);

void multiply(const Product& product, const void* x, std::int64_t x_stride_bytes, std::int64_t rows,
              float* y, std::int64_t y_stride) {
  for (std::int64_t first = 0; first < product.outputs; first += kPanel) {
    product.run({.x = static_cast<const std::byte*>(x),
                 .x_stride = x_stride_bytes,
                 .rows = rows,
                 .panel = product.packed + first * product.panel_steps * kGroupBytes,
                 .steps = product.steps,
                 .bias = nullptr,
                 .y = reinterpret_cast<std::byte*>(y + first),
                 .y_stride = y_stride * static_cast<std::int64_t>(sizeof(float)),
                 .columns = std::min(kPanel, product.outputs - first)});
  }
}

bool available(at::ScalarType type, const AttentionShape& shape) {
  if (shape.head_dim % 2 != 0) return false;
  return type == at::kBFloat16 ? cpu_has_avx512_bf16() : type == at::kFloat && cpu_has_avx512();
}

}  // namespace plumb::kernels::packed
