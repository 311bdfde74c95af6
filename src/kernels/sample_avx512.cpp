// Built with AVX-512 enabled; includes nothing whose inline code other files could pick up.
#include "kernels/sample_passes.hpp"

namespace plumb::kernels {

const SamplePasses& sample_passes_avx512() { return kPasses; }

}  // namespace plumb::kernels
