#include "pipeline/prompt_filter.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.hpp"
#include "pipeline/statistics.hpp"
#include "rewards/r3_calibration.hpp"

namespace plumb {

FilterLimits filter_limits(std::span<const double> scores, const FilterOptions& options) {
  const bool is_share = options.threshold == "quantile";
  if (is_share && (options.best < 0 || options.best > 1)) {
    throw UsageError(cat("filter.best = ", options.best,
                         ": expected a share from 0 to 1; for a score set filter.threshold = "
                         "value"));
  }
  if (scores.empty()) return {};
  std::vector<double> sorted(scores.begin(), scores.end());
  std::sort(sorted.begin(), sorted.end());
  const double centre = mean(sorted);
  double squares = 0.0;
  for (const double score : sorted) squares += (score - centre) * (score - centre);
  const double deviation = std::sqrt(squares / static_cast<double>(sorted.size()));
  return {is_share ? quantile(sorted, options.best) : options.best, options.spread * deviation};
}

std::optional<std::string> filter_reason(std::span<const double> scores,
                                         const FilterLimits& limits) {
  if (scores.size() < 2) return "too_few";
  const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
  if (*high < limits.best) return "hopeless";
  if (*high - *low < limits.spread || *high == *low) return "flat";
  return std::nullopt;
}

}  // namespace plumb
