#include "model/cached_attention.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "core/error.hpp"

namespace plumb {
namespace {

using kernels::kCacheTokens;

/// Tokens whose keys and values one thread stores at least.
constexpr std::int64_t kAppendGrain = 16;

}  // namespace

CachedAttention::CachedAttention(const KvCache& cache, const kernels::AttentionShape& shape,
                                 std::span<const CacheToken> tokens)
    : cache_(cache), shape_(shape), tokens_(tokens) {
  const auto count = static_cast<std::int64_t>(tokens.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const CacheToken& token = tokens[static_cast<std::size_t>(i)];
    const bool same_block = i > 0 && token.own == tokens[static_cast<std::size_t>(i) - 1].own &&
                            token.place % kCacheTokens != 0;
    if (!same_block) runs_.push_back(i);
  }
  runs_.push_back(count);

  // Equal shares of the blocks to read; a token costs something even if it has one block.
  std::vector<std::int64_t> cost_before{0};
  for (const CacheToken& token : tokens)
    cost_before.push_back(cost_before.back() + token.position() / kCacheTokens + 2);
  const std::int64_t threads = at::get_num_threads(), total = cost_before.back();
  std::size_t token = 0;
  for (std::int64_t t = 0; t <= threads; ++t) {
    const std::int64_t wanted = total * t / threads;
    while (token + 1 < tokens.size() && cost_before[token + 1] <= wanted) ++token;
    const std::int64_t inside = (wanted - cost_before[token]) * shape.kv_heads /
                                (cost_before[token + 1] - cost_before[token]);
    shares_.push_back(static_cast<std::int64_t>(token) * shape.kv_heads + inside);
  }
}

at::Tensor CachedAttention::operator()(std::int64_t layer, const at::Tensor& qkv) const {
  expects(qkv.is_contiguous() && qkv.size(0) == static_cast<std::int64_t>(tokens_.size()) &&
              qkv.size(1) == shape_.fused_width(),
          "one fused row a token");
  at::Tensor out = at::empty({qkv.size(0), shape_.query_width()}, qkv.options());
  const auto run = [&]<class T>(const T* from, T* to) {
    append(layer, from);
    attend(layer, from, to);
  };
  if (qkv.scalar_type() == at::kBFloat16) {
    run(static_cast<const std::uint16_t*>(qkv.const_data_ptr()),
        static_cast<std::uint16_t*>(out.data_ptr()));
  } else {
    run(qkv.const_data_ptr<float>(), out.data_ptr<float>());
  }
  return out;
}

template <class T>
void CachedAttention::append(std::int64_t layer, const T* qkv) const {
  const auto runs = static_cast<std::int64_t>(runs_.size()) - 1;
  const std::int64_t per_run =
      std::max<std::int64_t>(1, runs_.back() / std::max<std::int64_t>(1, runs));
  at::parallel_for(0, runs, std::max<std::int64_t>(1, kAppendGrain / per_run),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = runs_[static_cast<std::size_t>(begin)];
                          i < runs_[static_cast<std::size_t>(end)]; ++i) {
                       const CacheToken& token = tokens_[static_cast<std::size_t>(i)];
                       std::byte* block =
                           token.own->blocks[static_cast<std::size_t>(token.place / kCacheTokens)];
                       const T* key = qkv + i * shape_.fused_width() + shape_.query_width();
                       const T* value = key + shape_.kv_width();
                       for (std::int64_t head = 0; head < shape_.kv_heads; ++head) {
                         kernels::append_to_cache(block + cache_.offset(layer, head),
                                                  token.place % kCacheTokens,
                                                  key + head * shape_.head_dim,
                                                  value + head * shape_.head_dim, shape_.head_dim);
                       }
                     }
                   });
}

template <class T>
void CachedAttention::attend(std::int64_t layer, const T* qkv, T* out) const {
  const kernels::AttentionFunction attention = kernels::attention_function(sizeof(T));
  const std::int64_t group = shape_.heads / shape_.kv_heads;
  const auto shares = static_cast<std::int64_t>(shares_.size()) - 1;
  std::int64_t longest = 0;
  for (const CacheToken& token : tokens_) longest = std::max(longest, token.position() + 1);
  const std::int64_t stride = kernels::attention_stride(longest);
  at::parallel_for(0, shares, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scores(static_cast<std::size_t>(group * stride));
    std::vector<T> weights(scores.size());
    const std::int64_t last = shares_[static_cast<std::size_t>(end)];
    for (std::int64_t work = shares_[static_cast<std::size_t>(begin)]; work < last; ++work) {
      const std::int64_t i = work / shape_.kv_heads, head = work % shape_.kv_heads;
      const CacheToken& token = tokens_[static_cast<std::size_t>(i)];
      kernels::CacheSpan prefix;
      if (token.prefix != nullptr) prefix = {token.prefix->blocks.data(), token.prefix->tokens};
      attention({.query = qkv + i * shape_.fused_width() + head * group * shape_.head_dim,
                 .out = out + i * shape_.query_width() + head * group * shape_.head_dim,
                 .spans = {prefix, {token.own->blocks.data(), token.place + 1}},
                 .offset = cache_.offset(layer, head),
                 .group = group,
                 .head_dim = shape_.head_dim,
                 .scale = static_cast<float>(shape_.scale),
                 .scores = scores.data(),
                 .weights = weights.data(),
                 .stride = stride});
    }
  });
}

}  // namespace plumb
