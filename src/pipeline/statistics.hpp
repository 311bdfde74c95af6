#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace plumb {

struct Interval {
  double value = 0.0;            // the statistic on all items
  double low = 0.0, high = 0.0;  // 95 % percentile bootstrap over items
};

/// Mean with a percentile-bootstrap interval over its items (prompts). Deterministic in `seed`.
/// Empty input gives zeros.
Interval bootstrap_mean(std::span<const double> items, std::uint64_t seed, std::int64_t resamples);

double mean(std::span<const double> values);

}  // namespace plumb
