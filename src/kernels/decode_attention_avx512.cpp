// Built with AVX-512 and AVX512-BF16 enabled; includes nothing whose inline code other files could
// pick up.
#include "kernels/decode_attention_passes.hpp"

namespace plumb::kernels {

void attend_float32_avx512(const AttentionTask& task) { attend<Float32Cache>(task); }
void attend_bfloat16_avx512(const AttentionTask& task) { attend<BFloat16Cache>(task); }

}  // namespace plumb::kernels
