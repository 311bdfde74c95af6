// Decode attention in the notation of vector16.hpp, included by one file for each instruction set;
// local to the including file.
#include <cstddef>
#include <cstdint>

#include "kernels/decode_attention.hpp"
#include "kernels/vector16.hpp"

namespace plumb::kernels {
namespace {

constexpr std::int64_t kMaxChunks = kMaxHeadDim / kLanes;
constexpr int kHalves =
    static_cast<int>(kCacheTokens) / kLanes;  // vectors of scores a head and block

/// float32 cache: one value a lane.
struct Float32Cache {
  using Value = float;

  /// score[h][half] += query[h] . keys
  template <int kHeads>
  static void scores(const float* const* query, const std::byte* keys, std::int64_t head_dim,
                     Float16 (&score)[kHeads][kHalves]) {
    const auto* k = reinterpret_cast<const float*>(keys);
    for (std::int64_t d = 0; d < head_dim; ++d, k += kLanes) {
      const Float16 first = load(k), second = load(k + head_dim * kLanes);
#pragma GCC unroll 4
      for (int h = 0; h < kHeads; ++h) {
        add_product(score[h][0], first, query[h][d]);
        add_product(score[h][1], second, query[h][d]);
      }
    }
  }
  template <int kHeads, int kChunks>
  static void values(const float (*weight)[kCacheTokens], const std::byte* values,
                     std::int64_t tokens, std::int64_t head_dim, std::int64_t dim,
                     Float16 (&sum)[kHeads][kChunks]) {
    const auto* v = reinterpret_cast<const float*>(values) + dim;
    for (std::int64_t t = 0; t < tokens; ++t, v += head_dim) {
#pragma GCC unroll 2
      for (int c = 0; c < kChunks; ++c) {
        const Float16 value = load(v + c * kLanes);
#pragma GCC unroll 4
        for (int h = 0; h < kHeads; ++h) add_product(sum[h][c], value, weight[h][t]);
      }
    }
  }
  static void store_out(float* to, Float16 value, std::int64_t count) {
    __builtin_memcpy(to, &value, static_cast<std::size_t>(count) * sizeof(float));
  }
};

/// bfloat16 cache: two values a lane.
struct BFloat16Cache {
  using Value = std::uint16_t;

  template <int kHeads>
  static void scores(const std::uint16_t* const* query, const std::byte* keys,
                     std::int64_t head_dim, Float16 (&score)[kHeads][kHalves]) {
    const auto* k = reinterpret_cast<const std::uint32_t*>(keys);
    const std::int64_t pairs = head_dim / 2;
    for (std::int64_t d = 0; d < pairs; ++d, k += kLanes) {
      const UInt16 first = load(k), second = load(k + pairs * kLanes);
#pragma GCC unroll 4
      for (int h = 0; h < kHeads; ++h) {
        std::uint32_t pair;
        __builtin_memcpy(&pair, query[h] + 2 * d, sizeof pair);
        add_dot(score[h][0], first, pair);
        add_dot(score[h][1], second, pair);
      }
    }
  }
  template <int kHeads, int kChunks>
  static void values(const float (*weight)[kCacheTokens], const std::byte* values,
                     std::int64_t tokens, std::int64_t head_dim, std::int64_t dim,
                     Float16 (&sum)[kHeads][kChunks]) {
    const auto* v = reinterpret_cast<const std::uint32_t*>(values) + dim;
    for (std::int64_t t = 0; t < tokens; t += 2, v += head_dim) {
#pragma GCC unroll 2
      for (int c = 0; c < kChunks; ++c) {
        const UInt16 pair = load(v + c * kLanes);
        const Float16 even = low_bfloat16(pair), odd = high_bfloat16(pair);
#pragma GCC unroll 4
        for (int h = 0; h < kHeads; ++h) {
          add_product(sum[h][c], even, weight[h][t]);
          add_product(sum[h][c], odd, weight[h][t + 1]);
        }
      }
    }
  }
  static void store_out(std::uint16_t* to, Float16 value, std::int64_t count) {
    store_bfloat16(to, value, count);
  }
};

template <class Cache, int kHeads>
struct HeadGroup {
  using Value = typename Cache::Value;
  const Value* query[kHeads];
  Float16 sum[kHeads][kMaxChunks];  // of weight * value; the first chunks are in use
  Float16 total[kHeads]{};          // of weights, by lane
  float top[kHeads];                // largest score so far
  alignas(64) float weight[kHeads][kCacheTokens];

  void block(const AttentionTask& task, const std::byte* head, std::int64_t tokens) {
    Float16 score[kHeads][kHalves]{};
    Cache::template scores<kHeads>(query, head, task.head_dim, score);
    for (int h = 0; h < kHeads; ++h) weigh(h, score[h], task, tokens);
    const std::byte* values =
        head + kCacheTokens * task.head_dim * static_cast<std::int64_t>(sizeof(Value));
    std::int64_t dim = 0;
    for (; dim + 2 * kLanes <= task.head_dim; dim += 2 * kLanes)
      add_values<2>(task, values, tokens, dim);
    for (; dim < task.head_dim; dim += kLanes) add_values<1>(task, values, tokens, dim);
  }

  /// Turns scores into weights relative to the largest score so far, and rescales what was summed
  /// before.
  void weigh(int h, Float16 (&score)[kHalves], const AttentionTask& task, std::int64_t tokens) {
    for (int half = 0; half < kHalves; ++half) {
      const Int16 token = lane_numbers() + half * kLanes;
      score[half] = choose(token < broadcast<IntPart>(static_cast<std::int32_t>(tokens)),
                           score[half] * task.scale, broadcast(-__builtin_inff()));
    }
    const float block_top = lane_maximum(larger(score[0], score[1]));
    if (block_top > top[h]) {
      const float correction = exponential(broadcast(top[h] - block_top))[0];
      top[h] = block_top;
      total[h] = total[h] * correction;
      for (std::int64_t c = 0; c * kLanes < task.head_dim; ++c) sum[h][c] = sum[h][c] * correction;
    }
    for (int half = 0; half < kHalves; ++half) {
      const Float16 e = exponential(score[half] - top[h]);
      total[h] += e;
      store(weight[h] + half * kLanes, e);
    }
  }

  template <int kChunks>
  void add_values(const AttentionTask& task, const std::byte* values, std::int64_t tokens,
                  std::int64_t dim) {
    Float16 part[kHeads][kChunks];
    const std::int64_t first = dim / kLanes;
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; ++h) {
      for (int c = 0; c < kChunks; ++c) part[h][c] = sum[h][first + c];
    }
    Cache::template values<kHeads, kChunks>(weight, values, tokens, task.head_dim, dim, part);
#pragma GCC unroll 4
    for (int h = 0; h < kHeads; ++h) {
      for (int c = 0; c < kChunks; ++c) sum[h][first + c] = part[h][c];
    }
  }
};

template <class Cache, int kHeads>
void attend_heads(const AttentionTask& task, std::int64_t first) {
  using Value = typename Cache::Value;
  HeadGroup<Cache, kHeads> heads;
  for (int h = 0; h < kHeads; ++h) {
    heads.query[h] = static_cast<const Value*>(task.query) + (first + h) * task.head_dim;
    heads.top[h] = -__builtin_inff();
    for (std::int64_t c = 0; c * kLanes < task.head_dim; ++c) heads.sum[h][c] = Float16{};
  }
  for (const CacheSpan& span : task.spans) {
    for (std::int64_t begin = 0, b = 0; begin < span.tokens; begin += kCacheTokens, ++b) {
      const std::int64_t tokens =
          span.tokens - begin < kCacheTokens ? span.tokens - begin : kCacheTokens;
      heads.block(task, span.blocks[b] + task.offset, tokens);
    }
  }
  for (int h = 0; h < kHeads; ++h) {
    const auto total = static_cast<float>(lane_sum(heads.total[h]));
    Value* out = static_cast<Value*>(task.out) + (first + h) * task.head_dim;
    for (std::int64_t d = 0; d < task.head_dim; d += kLanes) {
      const std::int64_t count = task.head_dim - d < kLanes ? task.head_dim - d : kLanes;
      Cache::store_out(out + d, heads.sum[h][d / kLanes] / total, count);
    }
  }
}

template <class Cache>
void attend(const AttentionTask& task) {
  std::int64_t first = 0;
  for (; first + 4 <= task.group; first += 4) attend_heads<Cache, 4>(task, first);
  switch (task.group - first) {
    case 3:
      return attend_heads<Cache, 3>(task, first);
    case 2:
      return attend_heads<Cache, 2>(task, first);
    case 1:
      return attend_heads<Cache, 1>(task, first);
    default:
      return;
  }
}

}  // namespace
}  // namespace plumb::kernels
