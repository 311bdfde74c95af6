#include "kernels/sample.hpp"

#include <cstddef>

#include "kernels/sample_passes.hpp"
#include "kernels/tile.hpp"

namespace plumb::kernels {

const SamplePasses& sample_passes_portable() { return kPasses; }

const SamplePasses& sample_passes() {
#ifdef PLUMB_X86_KERNELS
  static const bool wide = cpu_has_avx512();
  if (wide) return sample_passes_avx512();
#endif
  return sample_passes_portable();
}

}  // namespace plumb::kernels
