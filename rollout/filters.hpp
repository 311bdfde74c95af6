#pragma once
#include <cstdint>
#include <span>

namespace plumb {

/// The likeliest entries of a row: those above `cut`, and those equal to it up to index `last_tie`.
struct LikeliestSet {
  float cut;
  std::int64_t last_tie;
};

/// What the size of the set is measured in.
enum class Amount { kCount, kMass };

/// Smallest set of the largest masses whose amount reaches `wanted`; lower indices first among
/// equal masses. All non-zero entries if they do not reach it. No sort of the row: thresholds close
/// in on the border, then the few entries around it are sorted.
/// @param mass [n] relative probabilities, the largest is 1   @param wanted above 0
/// @param candidates  scratch, [n + 16]
LikeliestSet likeliest(std::span<const float> mass, Amount amount, double wanted,
                       std::span<std::int32_t> candidates);

}  // namespace plumb
