#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "kernels/attention_packed.hpp"
#include "kernels/attention_rows.hpp"

namespace plumb::kernels::packed {
namespace {

/// Query rows of one head taken together.
constexpr std::int64_t kBlockRows = 8 * kTileRows;

/// Memory of one thread.
template <class T>
struct Workspace {
  std::vector<float> scores, dweights, dquery;
  std::vector<T> weights, dscores;
  at::Tensor a, b;  // packed operands of a sum of outer products
};

template <class T>
struct Backward {
  const T* qkv;
  const T* out;
  const T* dout;
  const float* logsumexp;
  T* dqkv;
  float* dkeys;  // [keys of all spans, 2 kv width]: gradients of keys and values before prefixes
                 // are added up
  const std::vector<Span>& spans;
  const AttentionShape& shape;
  PackedHeads keys_by_key, keys_by_column, values_by_key;

  static constexpr Element kElement = Typed<T>::kElement;

  /// c [columns of a, head_dim] += a^T b over `rows` rows.
  void add_outer(const T* a, std::int64_t a_stride, std::int64_t a_columns, const T* b,
                 std::int64_t b_stride, std::int64_t rows, float* c, std::int64_t c_stride,
                 Workspace<T>& work) const {
    const std::int64_t steps = steps_of(rows, kElement), dim = shape.head_dim;
    const std::int64_t tiles = (a_columns + kTileRows - 1) / kTileRows;
    const std::int64_t panels = (dim + kPanel - 1) / kPanel;
    const auto reserve = [&](at::Tensor& buffer, std::int64_t bytes) {
      if (!buffer.defined() || buffer.numel() < bytes) buffer = at::empty({bytes}, at::kByte);
      return static_cast<std::byte*>(buffer.data_ptr());
    };
    std::byte* packed_a = reserve(work.a, tiles * steps * kTileRows * kGroupBytes);
    std::byte* packed_b = reserve(work.b, panels * steps * kPanelStep);
    pack_columns({a, kElement, rows, a_columns, a_stride}, kElement, kTileRows, packed_a, 0, tiles);
    pack_columns({b, kElement, rows, dim, b_stride}, kElement, kPanel, packed_b, 0, panels);
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
      for (std::int64_t panel = 0; panel < panels; ++panel) {
        Typed<T>::outer()({.a = packed_a + tile * steps * kTileRows * kGroupBytes,
                           .b = packed_b + panel * steps * kPanelStep,
                           .steps = steps,
                           .c = c + tile * kTileRows * c_stride + panel * kPanel,
                           .c_stride = c_stride,
                           .rows = std::min(kTileRows, a_columns - tile * kTileRows),
                           .columns = std::min(kPanel, dim - panel * kPanel)});
      }
    }
  }

  void run_block(std::size_t s, std::int64_t head, std::int64_t first, std::int64_t count,
                 Workspace<T>& work) const {
    const Span& span = spans[s];
    const std::int64_t dim = shape.head_dim, kv_head = head / (shape.heads / shape.kv_heads);
    const std::int64_t row0 = span.first + first, width = shape.fused_width();
    const std::int64_t visible = span.prefix_length + first + count;
    const std::int64_t padded = round_up(visible, kPanel);
    const auto area = static_cast<std::size_t>(kBlockRows * padded);
    work.scores.resize(area), work.dweights.resize(area);
    work.weights.resize(area), work.dscores.resize(area);
    work.dquery.resize(static_cast<std::size_t>(kBlockRows * dim));
    const T* query = qkv + row0 * width + head * dim;
    const T* dvalue = dout + row0 * shape.query_width() + head * dim;
    const T* value = out + row0 * shape.query_width() + head * dim;
    constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));

    const std::int64_t head_steps = steps_of(dim, kElement);
    const auto by_key = [&](const PackedHeads& operand) {
      return Product{.run = Typed<T>::panel(),
                     .packed = operand.at(s, kv_head),
                     .panel_steps = head_steps,
                     .steps = head_steps,
                     .outputs = std::min(padded, span.keys())};
    };
    multiply(by_key(keys_by_key), query, width * kSize, count, work.scores.data(), padded);
    multiply(by_key(values_by_key), dvalue, shape.query_width() * kSize, count,
             work.dweights.data(), padded);
    for (std::int64_t m = 0; m < count; ++m) {
      const std::int64_t row = m * shape.query_width();
      rows::softmax_backward({.scores = work.scores.data() + m * padded,
                              .dweights = work.dweights.data() + m * padded,
                              .scale = static_cast<float>(shape.scale),
                              .logsumexp = logsumexp[(row0 + m) * shape.heads + head],
                              .mean = rows::dot(dvalue + row, value + row, dim),
                              .visible = span.prefix_length + first + m + 1,
                              .padded = padded},
                             work.weights.data() + m * padded, work.dscores.data() + m * padded);
    }
    multiply({.run = Typed<T>::panel(),
              .packed = keys_by_column.at(s, kv_head),
              .panel_steps = steps_of(span.keys(), kElement),
              .steps = steps_of(visible, kElement),
              .outputs = dim},
             work.dscores.data(), padded * kSize, count, work.dquery.data(), dim);
    for (std::int64_t m = 0; m < count; ++m) {
      rows::scaled(work.dquery.data() + m * dim, 1.0F, dim, dqkv + (row0 + m) * width + head * dim);
    }
    const std::int64_t stride = 2 * shape.kv_width();
    float* dkey = dkeys + span.keys_before * stride + kv_head * dim;
    add_outer(work.dscores.data(), padded, visible, query, width, count, dkey, stride, work);
    add_outer(work.weights.data(), padded, visible, dvalue, shape.query_width(), count,
              dkey + shape.kv_width(), stride, work);
  }

  /// All query heads that share a key head, so that its gradients are summed by one thread in a
  /// fixed order.
  void run(std::size_t s, std::int64_t kv_head, Workspace<T>& work) const {
    const std::int64_t group = shape.heads / shape.kv_heads;
    for (std::int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (std::int64_t first = 0; first < spans[s].length; first += kBlockRows) {
        run_block(s, head, first, std::min(kBlockRows, spans[s].length - first), work);
      }
    }
  }

  /// Key and value gradients of a segment's own rows: its own part and those of the segments that
  /// continue it.
  void collect(std::size_t s, const std::vector<std::size_t>& continuations) const {
    const Span& span = spans[s];
    const std::int64_t stride = 2 * shape.kv_width();
    std::vector<float> sum(static_cast<std::size_t>(stride));
    for (std::int64_t row = 0; row < span.length; ++row) {
      const float* own = dkeys + (span.keys_before + span.prefix_length + row) * stride;
      std::copy_n(own, stride, sum.data());
      for (const std::size_t other : continuations) {
        const float* more = dkeys + (spans[other].keys_before + row) * stride;
        for (std::int64_t i = 0; i < stride; ++i) sum[static_cast<std::size_t>(i)] += more[i];
      }
      rows::scaled(sum.data(), 1.0F, stride,
                   dqkv + (span.first + row) * shape.fused_width() + shape.query_width());
    }
  }
};

template <class T>
void run_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                  const at::Tensor& logsumexp, const RaggedBatch& batch,
                  const AttentionShape& shape, at::Tensor& dqkv) {
  const auto* data = static_cast<const T*>(qkv.const_data_ptr());
  const std::vector<Span> spans = spans_of(batch);
  const std::int64_t keys = spans.back().keys_before + spans.back().keys();
  at::Tensor dkeys = at::zeros({keys, 2 * shape.kv_width()}, at::kFloat);
  Backward<T> backward{data,
                       static_cast<const T*>(out.const_data_ptr()),
                       static_cast<const T*>(dout.const_data_ptr()),
                       logsumexp.const_data_ptr<float>(),
                       static_cast<T*>(dqkv.data_ptr()),
                       dkeys.data_ptr<float>(),
                       spans,
                       shape,
                       {},
                       {},
                       {}};
  const std::int64_t key = shape.query_width(), value = key + shape.kv_width();
  backward.keys_by_key.pack(data, key, PackedAs::kAcrossKeys, spans, shape);
  backward.keys_by_column.pack(data, key, PackedAs::kAcrossHead, spans, shape);
  backward.values_by_key.pack(data, value, PackedAs::kAcrossKeys, spans, shape);

  const auto count = static_cast<std::int64_t>(spans.size());
  at::parallel_for(0, count * shape.kv_heads, 1, [&](std::int64_t begin, std::int64_t end) {
    Workspace<T> work;
    for (std::int64_t task = begin; task < end; ++task) {
      backward.run(static_cast<std::size_t>(task / shape.kv_heads), task % shape.kv_heads, work);
    }
  });
  std::vector<std::vector<std::size_t>> continuations(spans.size());
  for (std::size_t s = 0; s < spans.size(); ++s) {
    if (batch.prefix[s] >= 0) continuations[static_cast<std::size_t>(batch.prefix[s])].push_back(s);
  }
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) {
      const auto index = static_cast<std::size_t>(s);
      backward.collect(index, continuations[index]);
    }
  });
}

}  // namespace

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                              const at::Tensor& logsumexp, const RaggedBatch& batch,
                              const AttentionShape& shape) {
  at::Tensor dqkv = at::empty(qkv.sizes(), qkv.options());
  if (qkv.scalar_type() == at::kBFloat16) {
    run_backward<std::uint16_t>(dout, qkv, out, logsumexp, batch, shape, dqkv);
  } else {
    run_backward<float>(dout, qkv, out, logsumexp, batch, shape, dqkv);
  }
  return dqkv;
}

}  // namespace plumb::kernels::packed
