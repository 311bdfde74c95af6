#include "kernels/decode_attention.hpp"

#include "kernels/decode_attention_passes.hpp"
#include "kernels/tile.hpp"

namespace plumb::kernels {

void append_to_cache(std::byte* head, std::int64_t slot, const float* key, const float* value,
                     std::int64_t head_dim) {
  auto* keys = reinterpret_cast<float*>(head) + slot / kLanes * head_dim * kLanes + slot % kLanes;
  for (std::int64_t d = 0; d < head_dim; ++d) keys[d * kLanes] = key[d];
  auto* values = reinterpret_cast<float*>(head) + kCacheTokens * head_dim + slot * head_dim;
  __builtin_memcpy(values, value, static_cast<std::size_t>(head_dim) * sizeof(float));
}

void append_to_cache(std::byte* head, std::int64_t slot, const std::uint16_t* key,
                     const std::uint16_t* value, std::int64_t head_dim) {
  auto* keys = reinterpret_cast<std::uint32_t*>(head) + slot / kLanes * (head_dim / 2) * kLanes +
               slot % kLanes;
  for (std::int64_t d = 0; d < head_dim / 2; ++d) {
    keys[d * kLanes] = key[2 * d] | static_cast<std::uint32_t>(key[2 * d + 1]) << 16;
  }
  auto* values =
      reinterpret_cast<std::uint32_t*>(head) + kCacheTokens * head_dim / 2 + slot / 2 * head_dim;
  // An even slot clears its odd neighbour: its weight is 0, but 0 times a stale NaN is NaN.
  if (slot % 2 == 0) {
    for (std::int64_t d = 0; d < head_dim; ++d) values[d] = value[d];
  } else {
    for (std::int64_t d = 0; d < head_dim; ++d)
      values[d] |= static_cast<std::uint32_t>(value[d]) << 16;
  }
}

void attend_float32_portable(const AttentionTask& task) { attend<Float32Cache>(task); }
void attend_bfloat16_portable(const AttentionTask& task) { attend<BFloat16Cache>(task); }

AttentionFunction attention_function(std::int64_t element_size) {
#ifdef PLUMB_X86_KERNELS
  if (element_size == 4 && cpu_has_avx512()) return attend_float32_avx512;
  if (element_size == 2 && cpu_has_avx512_bf16()) return attend_bfloat16_avx512;
#endif
  return element_size == 4 ? attend_float32_portable : attend_bfloat16_portable;
}

}  // namespace plumb::kernels
