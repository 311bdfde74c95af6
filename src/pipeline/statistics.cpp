#include "pipeline/statistics.hpp"

#include <algorithm>
#include <numeric>

#include "core/rng.hpp"
#include "rewards/r3_calibration.hpp"

namespace plumb {

double mean(std::span<const double> values) {
  if (values.empty()) return 0.0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

Interval bootstrap_mean(std::span<const double> items, std::uint64_t seed, std::int64_t resamples) {
  Interval out{mean(items), 0.0, 0.0};
  out.low = out.high = out.value;
  if (items.size() < 2 || resamples < 1) return out;
  std::vector<double> means(static_cast<std::size_t>(resamples));
  for (std::size_t r = 0; r < means.size(); ++r) {
    const RandomStream stream(seed, 0, r);
    double sum = 0.0;
    for (std::size_t i = 0; i < items.size(); ++i) sum += items[stream.below(i, items.size())];
    means[r] = sum / static_cast<double>(items.size());
  }
  std::sort(means.begin(), means.end());
  out.low = quantile(means, 0.025);
  out.high = quantile(means, 0.975);
  return out;
}

}  // namespace plumb
