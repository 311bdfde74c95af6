#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "kernels/attention.hpp"

namespace plumb::kernels::portable {
namespace {

struct Segment {
  std::int64_t first, length, prefix_first, prefix_length;
  std::int64_t keys() const { return prefix_length + length; }
};

Segment segment_of(const RaggedBatch& batch, std::int64_t s) {
  const std::int64_t prefix = batch.prefix[s];
  if (prefix < 0) return {batch.offsets[s], batch.length(s), 0, 0};
  return {batch.offsets[s], batch.length(s), batch.offsets[prefix], batch.length(prefix)};
}

/// [T, heads * D] columns as float32 [kv_heads, group * T, D]: the query heads that share a key
/// head lie end to end.
at::Tensor grouped(const at::Tensor& columns, const AttentionShape& shape, std::int64_t heads) {
  const std::int64_t group = heads / shape.kv_heads, rows = columns.size(0);
  return columns.to(at::kFloat)
      .reshape({rows, shape.kv_heads, group, shape.head_dim})
      .permute({1, 2, 0, 3})
      .reshape({shape.kv_heads, group * rows, shape.head_dim});
}

/// The inverse of grouped().
at::Tensor ungrouped(const at::Tensor& values, const AttentionShape& shape, std::int64_t rows) {
  const std::int64_t group = values.size(1) / rows;
  return values.reshape({shape.kv_heads, group, rows, shape.head_dim})
      .permute({2, 0, 1, 3})
      .reshape({rows, shape.kv_heads * group * shape.head_dim});
}

at::Tensor keys_of(const at::Tensor& columns, const Segment& segment, const AttentionShape& shape) {
  const at::Tensor own = columns.narrow(0, segment.first, segment.length);
  if (segment.prefix_length == 0) return grouped(own, shape, shape.kv_heads);
  const at::Tensor prefix = columns.narrow(0, segment.prefix_first, segment.prefix_length);
  return grouped(at::cat({prefix, own}), shape, shape.kv_heads);
}

struct Columns {
  at::Tensor query, key, value;
};

Columns columns_of(const at::Tensor& qkv, const AttentionShape& shape) {
  const std::int64_t q = shape.query_width(), kv = shape.kv_width();
  return {qkv.narrow(1, 0, q), qkv.narrow(1, q, kv), qkv.narrow(1, q + kv, kv)};
}

/// Scaled scores [kv_heads, group, T, keys], minus infinity where a key lies after the query.
at::Tensor scores_of(const at::Tensor& query, const at::Tensor& key, const Segment& segment,
                     const AttentionShape& shape) {
  at::Tensor scores =
      (at::matmul(query, key.transpose(1, 2)) * shape.scale)
          .reshape({shape.kv_heads, shape.heads / shape.kv_heads, segment.length, segment.keys()});
  const at::Tensor later =
      at::ones({segment.length, segment.keys()}, query.options().dtype(at::kBool))
          .triu(segment.prefix_length + 1);
  return scores.masked_fill(later, -std::numeric_limits<float>::infinity());
}

}  // namespace

at::Tensor attention(const at::Tensor& qkv, const RaggedBatch& batch, const AttentionShape& shape,
                     at::Tensor* logsumexp) {
  const Columns columns = columns_of(qkv, shape);
  at::Tensor out = at::empty({qkv.size(0), shape.query_width()}, qkv.options());
  if (logsumexp != nullptr) {
    *logsumexp = at::empty({qkv.size(0), shape.heads}, qkv.options().dtype(at::kFloat));
  }
  for (std::int64_t s = 0; s < batch.segments(); ++s) {
    const Segment segment = segment_of(batch, s);
    const at::Tensor query =
        grouped(columns.query.narrow(0, segment.first, segment.length), shape, shape.heads);
    const at::Tensor scores =
        scores_of(query, keys_of(columns.key, segment, shape), segment, shape);
    const at::Tensor total = scores.logsumexp(-1);
    const at::Tensor weights = (scores - total.unsqueeze(-1)).exp().flatten(1, 2);
    const at::Tensor values = at::matmul(weights, keys_of(columns.value, segment, shape));
    out.narrow(0, segment.first, segment.length).copy_(ungrouped(values, shape, segment.length));
    if (logsumexp != nullptr) {
      logsumexp->narrow(0, segment.first, segment.length)
          .copy_(total.flatten(0, 1).transpose(0, 1));
    }
  }
  return out;
}

at::Tensor attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                              const at::Tensor& logsumexp, const RaggedBatch& batch,
                              const AttentionShape& shape) {
  const Columns columns = columns_of(qkv, shape);
  at::Tensor dqkv = at::zeros(qkv.sizes(), qkv.options().dtype(at::kFloat));
  const Columns gradient = columns_of(dqkv, shape);
  const std::int64_t group = shape.heads / shape.kv_heads;
  for (std::int64_t s = 0; s < batch.segments(); ++s) {
    const Segment segment = segment_of(batch, s);
    const auto own = [&](const at::Tensor& rows) {
      return rows.narrow(0, segment.first, segment.length);
    };
    const at::Tensor query = grouped(own(columns.query), shape, shape.heads);
    const at::Tensor key = keys_of(columns.key, segment, shape);
    const at::Tensor value = keys_of(columns.value, segment, shape);
    const at::Tensor dvalues = grouped(own(dout), shape, shape.heads);
    const at::Tensor total =
        own(logsumexp).transpose(0, 1).reshape({shape.kv_heads, group, segment.length, 1});
    const at::Tensor weights = (scores_of(query, key, segment, shape) - total).exp().flatten(1, 2);
    const at::Tensor mean =
        (dvalues * grouped(own(out), shape, shape.heads)).sum(-1, /*keepdim=*/true);
    const at::Tensor dscores =
        weights * (at::matmul(dvalues, value.transpose(1, 2)) - mean) * shape.scale;
    own(gradient.query) += ungrouped(at::matmul(dscores, key), shape, segment.length);

    const at::Tensor dkey =
        ungrouped(at::matmul(dscores.transpose(1, 2), query), shape, segment.keys());
    const at::Tensor dvalue =
        ungrouped(at::matmul(weights.transpose(1, 2), dvalues), shape, segment.keys());
    const auto add = [&](const at::Tensor& to, const at::Tensor& from) {
      own(to) += from.narrow(0, segment.prefix_length, segment.length);
      if (segment.prefix_length > 0) {
        to.narrow(0, segment.prefix_first, segment.prefix_length) +=
            from.narrow(0, 0, segment.prefix_length);
      }
    };
    add(gradient.key, dkey);
    add(gradient.value, dvalue);
  }
  return dqkv.to(qkv.scalar_type());
}

}  // namespace plumb::kernels::portable
