#pragma once
#include <cstddef>
#include <cstdint>

/// Attention of single query rows over cached keys and values. Free of torch.
///
/// The cache is cut into blocks of kCacheTokens tokens. A block holds, for each layer and kv head,
/// keys then values in the order in which the kernels read them: float32 keys [2][D][16 tokens],
/// values [32 tokens][D]; bfloat16 keys [2][D/2][16 tokens][2 neighbouring dimensions], values
/// [16][D][2 neighbouring tokens], so that a 32-bit lane holds what one dot-product instruction
/// takes.
namespace plumb::kernels {

constexpr std::int64_t kCacheTokens = 32;

/// Bytes of one head of one layer in a block. @param element_size 2 (bfloat16) or 4 (float32)
constexpr std::int64_t cache_head_bytes(std::int64_t head_dim, std::int64_t element_size) {
  return 2 * kCacheTokens * head_dim * element_size;
}

/// Writes one token's key and value. @param head start of the head in the token's block
/// @param slot 0 .. kCacheTokens-1, filled in ascending order @param key, value [head_dim],
/// head_dim even
void append_to_cache(std::byte* head, std::int64_t slot, const float* key, const float* value,
                     std::int64_t head_dim);
void append_to_cache(std::byte* head, std::int64_t slot, const std::uint16_t* key,
                     const std::uint16_t* value, std::int64_t head_dim);

/// The first `tokens` tokens of a list of blocks.
struct CacheSpan {
  std::byte* const* blocks = nullptr;
  std::int64_t tokens = 0;
};

/// out[g] = softmax(scale * query[g] . keys) . values over the tokens of both spans together;
/// scores, softmax and sums in float32, weights in the element type. Scores and sums run in the
/// order of kernels::attention, so that both give a token the same bits (AVX-512).
struct AttentionTask {
  const void* query;    // [group][head_dim], heads that share one kv head
  void* out;            // [group][head_dim], element type of the query
  CacheSpan spans[2];   // at least one token in all
  std::int64_t offset;  // bytes from the start of a block to this layer and kv head
  std::int64_t group, head_dim;
  float scale;
  float* scores;        // memory for [group][stride]
  void* weights;        // memory for [group][stride], element type of the query
  std::int64_t stride;  // at least attention_stride(tokens of both spans)
};
constexpr std::int64_t attention_stride(std::int64_t tokens) { return tokens + kCacheTokens; }

/// For an even head_dim of at most kMaxHeadDim. Reads up to 64 bytes behind a block.
using AttentionFunction = void (*)(const AttentionTask& task);
constexpr std::int64_t kMaxHeadDim = 256;

void attend_float32_portable(const AttentionTask& task);
void attend_bfloat16_portable(const AttentionTask& task);
/// Only where cpu_has_avx512() (bfloat16: cpu_has_avx512_bf16()) is true.
void attend_float32_avx512(const AttentionTask& task);
void attend_bfloat16_avx512(const AttentionTask& task);

/// The fastest function for this machine. @param element_size 2 or 4
AttentionFunction attention_function(std::int64_t element_size);

}  // namespace plumb::kernels
