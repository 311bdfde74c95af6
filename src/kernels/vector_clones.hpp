#pragma once

/// Builds a function for AVX-512, AVX2 and the baseline, chosen by the CPU when the program starts.
/// The body must be plain loops (marked `omp simd`) over inline helpers.
#if defined(PLUMB_X86_KERNELS) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PLUMB_VECTOR_CLONES \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PLUMB_VECTOR_CLONES
#endif
