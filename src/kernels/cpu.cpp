#include "kernels/kernels.hpp"
#include "kernels/tile.hpp"

namespace plumb::kernels {

#ifdef PLUMB_X86_KERNELS
bool cpu_has_avx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0;
}
bool cpu_has_avx512_bf16() { return cpu_has_avx512() && __builtin_cpu_supports("avx512bf16") != 0; }
#else
bool cpu_has_avx512() { return false; }
bool cpu_has_avx512_bf16() { return false; }
#endif

std::string instruction_set(Precision precision) {
  if (precision == Precision::kBFloat16) {
    return cpu_has_avx512_bf16() ? "avx512_bf16" : "portable";
  }
  return cpu_has_avx512() ? "avx512" : "portable";
}

bool has_native_bfloat16() { return cpu_has_avx512_bf16(); }

}  // namespace plumb::kernels
