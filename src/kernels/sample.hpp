#pragma once
#include <cstdint>

/// Vector passes over one row of scores, the inner loops of sampling: no sort and no allocation.
/// Free of torch. Sums are taken in a fixed order, so a row's result depends on nothing but the
/// row.
namespace plumb::kernels {

constexpr std::int64_t kMassBlock = 512;  // entries whose masses share one partial sum
constexpr int kCuts = 8;                  // thresholds tried in one pass

/// Number of partial sums of a row of n entries.
constexpr std::int64_t mass_blocks(std::int64_t n) { return (n + kMassBlock - 1) / kMassBlock; }

struct RowMaximum {
  float value;
  bool finite;  // false: the row holds a NaN or an infinity, and value means nothing
};

/// Count and total of the masses at or above one threshold.
struct MassAbove {
  std::int64_t count;
  double mass;
};

struct SamplePasses {
  /// Largest of n > 0 values.
  RowMaximum (*maximum)(const float* x, std::int64_t n);
  /// mass[i] = exp((x[i] - shift) * scale), relative error below 3e-7, for x <= shift and scale >
  /// 0; exactly 1 at x = shift, 0 below exp(-87). @param mass [n], or null if only the sums are
  /// wanted
  /// @param block_sums [mass_blocks(n)] @return the total
  double (*exponentials)(const float* x, std::int64_t n, float shift, float scale, float* mass,
                         double* block_sums);
  /// @param cuts [kCuts] thresholds, above 0 @param above [kCuts]
  void (*masses_above)(const float* mass, std::int64_t n, const float* cuts, MassAbove* above);
  /// Entries with low <= mass < high in ascending order of index. @param index room for all of
  /// them, and 16 more
  /// @return their number
  std::int64_t (*collect)(const float* mass, std::int64_t n, float low, float high,
                          std::int32_t* index);
  /// Sets masses below `cut`, and those equal to it behind index `last_tie`, to 0. @return the
  /// total of what is left
  double (*keep)(float* mass, std::int64_t n, float cut, std::int64_t last_tie, double* block_sums);
};

/// The fastest passes for this machine.
const SamplePasses& sample_passes();
const SamplePasses& sample_passes_portable();
/// Call its functions only where cpu_has_avx512() is true.
const SamplePasses& sample_passes_avx512();

}  // namespace plumb::kernels
