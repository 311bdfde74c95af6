// Decode attention in the notation of vector16.hpp, included by one file for each instruction set;
// local to the including file.
#include <cstddef>
#include <cstdint>

#include "kernels/attention_rows.hpp"
#include "kernels/decode_attention.hpp"
#include "kernels/vector16.hpp"

namespace plumb::kernels {
namespace {

constexpr int kHalves =
    static_cast<int>(kCacheTokens) / kLanes;  // vectors of scores a head and block

/// Calls visit(head, tokens) for the blocks of both spans in order: the start of this layer's kv
/// head in the block, and how many tokens it holds.
template <class Visit>
inline void for_each_block(const AttentionTask& task, const Visit& visit) {
  for (const CacheSpan& span : task.spans) {
    for (std::int64_t begin = 0, b = 0; begin < span.tokens; begin += kCacheTokens, ++b) {
      visit(span.blocks[b] + task.offset,
            span.tokens - begin < kCacheTokens ? span.tokens - begin : kCacheTokens);
    }
  }
}

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
  /// sum[h][c] += weights[h] . values of lanes dim + 16 c .., token by token.
  template <int kHeads, int kChunks>
  static void values(const AttentionTask& task, const float* const* weight, std::int64_t dim,
                     Float16 (&sum)[kHeads][kChunks]) {
    std::int64_t index = 0;
    for_each_block(task, [&](const std::byte* head, std::int64_t tokens) {
      const auto* v = reinterpret_cast<const float*>(head) + kCacheTokens * task.head_dim + dim;
      for (std::int64_t t = 0; t < tokens; ++t, ++index, v += task.head_dim) {
#pragma GCC unroll 4
        for (int c = 0; c < kChunks; ++c) {
          const Float16 value = load(v + c * kLanes);
#pragma GCC unroll 4
          for (int h = 0; h < kHeads; ++h) add_product(sum[h][c], value, weight[h][index]);
        }
      }
    });
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
  /// The same by pairs of neighbouring tokens. Where the prefix has an odd number of tokens, a pair
  /// holds its last one and the first after it, and so on: `waiting` is the half of a pair that
  /// still lacks its neighbour.
  template <int kHeads, int kChunks>
  static void values(const AttentionTask& task, const std::uint16_t* const* weight,
                     std::int64_t dim, Float16 (&sum)[kHeads][kChunks]) {
    std::int64_t index = 0;
    bool is_waiting = false;
    UInt16 waiting[kChunks]{};
    const auto add = [&](const UInt16(&pair)[kChunks]) {
#pragma GCC unroll 4
      for (int h = 0; h < kHeads; ++h) {
        std::uint32_t weights;
        __builtin_memcpy(&weights, weight[h] + index, sizeof weights);
#pragma GCC unroll 4
        for (int c = 0; c < kChunks; ++c) add_dot(sum[h][c], pair[c], weights);
      }
      index += 2;
    };
    for_each_block(task, [&](const std::byte* head, std::int64_t tokens) {
      const auto* v =
          reinterpret_cast<const std::uint32_t*>(head) + kCacheTokens * task.head_dim / 2 + dim;
      for (std::int64_t t = 0; t < tokens; t += 2, v += task.head_dim) {
        const bool is_pair = t + 1 < tokens;
        UInt16 pair[kChunks];
#pragma GCC unroll 4
        for (int c = 0; c < kChunks; ++c) {
          const UInt16 stored = load(v + c * kLanes);
          pair[c] = is_waiting ? waiting[c] | (stored << 16U) : stored;
          waiting[c] = is_waiting ? stored >> 16U : stored;
        }
        if (is_waiting || is_pair) add(pair);
        is_waiting = is_waiting == is_pair;
      }
    });
    if (is_waiting) add(waiting);
  }
};

/// Heads of one group, at most four: their accumulators stay in registers.
template <class Cache, int kHeads>
struct HeadGroup {
  using Value = typename Cache::Value;
  const AttentionTask& task;
  std::int64_t first;  // head
  float* score[kHeads];
  Value* weight[kHeads];
  alignas(64) float sums[kHeads][kMaxHeadDim + kLanes];  // of weight * value

  HeadGroup(const AttentionTask& whole, std::int64_t first_head) : task(whole), first(first_head) {
    for (int h = 0; h < kHeads; ++h) {
      score[h] = task.scores + (first + h) * task.stride;
      weight[h] = static_cast<Value*>(task.weights) + (first + h) * task.stride;
    }
  }

  void run() {
    const std::int64_t tokens = score_all();
    float totals[kHeads];
    for (int h = 0; h < kHeads; ++h) {
      totals[h] = rows::softmax(score[h], task.scale, tokens, tokens + tokens % 2, weight[h]).total;
    }
    std::int64_t dim = 0;
    for (; dim + 4 * kLanes <= task.head_dim; dim += 4 * kLanes) sum_values<4>(dim);
    for (; dim < task.head_dim; dim += kLanes) sum_values<1>(dim);
    for (int h = 0; h < kHeads; ++h) {
      rows::scaled(sums[h], 1.0F / totals[h], task.head_dim,
                   static_cast<Value*>(task.out) + (first + h) * task.head_dim);
    }
  }

 private:
  /// Scores of all tokens, end to end. A block writes all its lanes; the next one or nobody reads
  /// those behind its tokens.
  std::int64_t score_all() {
    const Value* query[kHeads];
    for (int h = 0; h < kHeads; ++h) {
      query[h] = static_cast<const Value*>(task.query) + (first + h) * task.head_dim;
    }
    std::int64_t index = 0;
    for_each_block(task, [&](const std::byte* head, std::int64_t tokens) {
      Float16 block[kHeads][kHalves]{};
      Cache::template scores<kHeads>(query, head, task.head_dim, block);
      for (int h = 0; h < kHeads; ++h) {
        for (int half = 0; half < kHalves; ++half) {
          store(score[h] + index + half * kLanes, block[h][half]);
        }
      }
      index += tokens;
    });
    return index;
  }

  template <int kChunks>
  void sum_values(std::int64_t dim) {
    Float16 sum[kHeads][kChunks]{};
    Cache::template values<kHeads, kChunks>(task, weight, dim, sum);
    for (int h = 0; h < kHeads; ++h) {
      for (int c = 0; c < kChunks; ++c) store(sums[h] + dim + c * kLanes, sum[h][c]);
    }
  }
};

template <class Cache>
void attend(const AttentionTask& task) {
  std::int64_t first = 0;
  for (; first + 4 <= task.group; first += 4) HeadGroup<Cache, 4>(task, first).run();
  switch (task.group - first) {
    case 3:
      return HeadGroup<Cache, 3>(task, first).run();
    case 2:
      return HeadGroup<Cache, 2>(task, first).run();
    case 1:
      return HeadGroup<Cache, 1>(task, first).run();
    default:
      return;
  }
}

}  // namespace
}  // namespace plumb::kernels
