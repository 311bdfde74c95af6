#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

#include "kernels/attention_packed.hpp"
#include "kernels/attention_rows.hpp"

namespace plumb::kernels::packed {
namespace {

/// Query rows of one head taken together: four register tiles.
constexpr std::int64_t kBlockRows = 4 * kTileRows;

/// One block of query rows of one head.
struct Block {
  std::size_t span;
  std::int64_t head, first, rows;  // rows `first` .. of the span
};

/// Head by head within a span: blocks of equal heads cost the same, which balances the threads.
std::vector<Block> blocks_of(const std::vector<Span>& spans, std::int64_t heads) {
  std::vector<Block> blocks;
  for (std::size_t s = 0; s < spans.size(); ++s) {
    for (std::int64_t head = 0; head < heads; ++head) {
      for (std::int64_t first = 0; first < spans[s].length; first += kBlockRows) {
        blocks.push_back({s, head, first, std::min(kBlockRows, spans[s].length - first)});
      }
    }
  }
  return blocks;
}

/// Memory of one thread for the blocks it runs.
template <class T>
struct Workspace {
  std::vector<float> scores, values;
  std::vector<T> weights;
};

template <class T>
struct Forward {
  const T* qkv;
  T* out;
  float* logsumexp;  // may be null
  const std::vector<Span>& spans;
  const AttentionShape& shape;
  const PackedHeads& keys;
  const PackedHeads& values;

  void run(const Block& block, Workspace<T>& work) const {
    constexpr Element kElement = Typed<T>::kElement;
    const Span& span = spans[block.span];
    const std::int64_t dim = shape.head_dim, kv_head = block.head / (shape.heads / shape.kv_heads);
    const std::int64_t row0 = span.first + block.first;
    const std::int64_t visible = span.prefix_length + block.first + block.rows;
    const std::int64_t padded = round_up(visible, kPanel);
    work.scores.resize(static_cast<std::size_t>(kBlockRows * padded));
    work.weights.resize(static_cast<std::size_t>(kBlockRows * padded));
    work.values.resize(static_cast<std::size_t>(kBlockRows * dim));

    const std::int64_t head_steps = steps_of(dim, kElement);
    multiply({.run = Typed<T>::panel(),
              .packed = keys.at(block.span, kv_head),
              .panel_steps = head_steps,
              .steps = head_steps,
              .outputs = std::min(padded, span.keys())},
             qkv + row0 * shape.fused_width() + block.head * dim, row_bytes(), block.rows,
             work.scores.data(), padded);

    float totals[kBlockRows];
    const auto scale = static_cast<float>(shape.scale);
    for (std::int64_t m = 0; m < block.rows; ++m) {
      const auto sums = rows::softmax(work.scores.data() + m * padded, scale,
                                      span.prefix_length + block.first + m + 1, padded,
                                      work.weights.data() + m * padded);
      totals[m] = sums.total;
      if (logsumexp != nullptr) {
        logsumexp[(row0 + m) * shape.heads + block.head] = sums.highest + std::log(sums.total);
      }
    }
    multiply({.run = Typed<T>::panel(),
              .packed = values.at(block.span, kv_head),
              .panel_steps = steps_of(span.keys(), kElement),
              .steps = steps_of(visible, kElement),
              .outputs = dim},
             work.weights.data(), padded * static_cast<std::int64_t>(sizeof(T)), block.rows,
             work.values.data(), dim);
    for (std::int64_t m = 0; m < block.rows; ++m) {
      rows::scaled(work.values.data() + m * dim, 1.0F / totals[m], dim,
                   out + (row0 + m) * shape.query_width() + block.head * dim);
    }
  }

  std::int64_t row_bytes() const {
    return shape.fused_width() * static_cast<std::int64_t>(sizeof(T));
  }
};

template <class T>
void run_forward(const at::Tensor& qkv, const RaggedBatch& batch, const AttentionShape& shape,
                 at::Tensor& out, float* logsumexp) {
  const auto* data = static_cast<const T*>(qkv.const_data_ptr());
  const std::vector<Span> spans = spans_of(batch);
  PackedHeads keys, values;
  keys.pack(data, shape.query_width(), PackedAs::kAcrossKeys, spans, shape);
  values.pack(data, shape.query_width() + shape.kv_width(), PackedAs::kAcrossHead, spans, shape);
  const std::vector<Block> blocks = blocks_of(spans, shape.heads);
  const Forward<T> forward{data,  static_cast<T*>(out.data_ptr()), logsumexp, spans, shape, keys,
                           values};
  at::parallel_for(0, static_cast<std::int64_t>(blocks.size()), 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     Workspace<T> work;
                     for (std::int64_t i = begin; i < end; ++i)
                       forward.run(blocks[static_cast<std::size_t>(i)], work);
                   });
}

}  // namespace

at::Tensor attention(const at::Tensor& qkv, const RaggedBatch& batch, const AttentionShape& shape,
                     at::Tensor* logsumexp) {
  at::Tensor out = at::empty({qkv.size(0), shape.query_width()}, qkv.options());
  if (logsumexp != nullptr) *logsumexp = at::empty({qkv.size(0), shape.heads}, at::kFloat);
  float* sums = logsumexp != nullptr ? logsumexp->data_ptr<float>() : nullptr;
  if (qkv.scalar_type() == at::kBFloat16) {
    run_forward<std::uint16_t>(qkv, batch, shape, out, sums);
  } else {
    run_forward<float>(qkv, batch, shape, out, sums);
  }
  return out;
}

}  // namespace plumb::kernels::packed
