#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace plumb {

struct Match {
  std::int64_t a, b;  // indices of equal elements
};

/// A longest common subsequence. Of several, the one whose indices in `a`, then in `b`, come first.
std::vector<Match> longest_common_subsequence(std::span<const std::int32_t> a,
                                              std::span<const std::int32_t> b);

}  // namespace plumb
