#include "rewards/consistency.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "rewards/rank_agreement.hpp"

namespace plumb {
namespace {

/// All scores as numbers; empty if one is missing or not finite.
std::optional<std::vector<double>> complete(std::span<const std::optional<double>> scores) {
  std::vector<double> values;
  for (const std::optional<double>& score : scores) {
    if (!score || !std::isfinite(*score)) return std::nullopt;
    values.push_back(*score);
  }
  return values;
}

std::vector<double> untied(std::span<const double> scores) {
  const std::vector<int> ranks = ranks_ordinal(scores);
  return {ranks.begin(), ranks.end()};
}

std::optional<double> rate_of(const std::optional<double>& coefficient) {
  if (!coefficient) return std::nullopt;
  return (*coefficient + 1) / 2;
}

}  // namespace

std::optional<double> consistency(std::span<const std::optional<double>> current,
                                  std::span<const std::optional<double>> previous,
                                  const ConsistencyOptions& options) {
  if (current.size() != previous.size() || current.size() < 2) return std::nullopt;
  auto a = complete(current), b = complete(previous);
  if (!a || !b) return std::nullopt;
  if (options.ties == "ordinal") {
    a = untied(*a);
    b = untied(*b);
  }
  if (options.method == "kendall") return rate_of(kendall_tau(*a, *b, KendallVariant::kA));
  if (options.method == "kendall_b") return rate_of(kendall_tau(*a, *b, KendallVariant::kB));
  if (options.method == "spearman") return rate_of(spearman_rho(*a, *b));
  if (options.method == "toporder") return top_order(*a, *b) ? 1.0 : 0.0;
  expects(options.method == "toporder_released", "a declared consistency method");
  return top_order_released(*a, *b) ? 1.0 : 0.0;
}

std::vector<double> cream_rates(std::span<const std::optional<double>> agreement,
                                const ConsistencyOptions& options) {
  expects(options.rate != "off", "a rate");
  double mean = options.fixed_rate;
  if (options.rate != "fixed") {
    double sum = 0;
    std::size_t known = 0;
    for (const std::optional<double>& rate : agreement) {
      sum += rate.value_or(0);
      known += rate.has_value();
    }
    if (known == 0) {
      throw DataError(cat("consistency: none of ", agreement.size(),
                          " prompts has scores of both models for at least two responses"));
    }
    mean = sum / static_cast<double>(known);
  }
  std::vector<double> rates;
  if (options.rate == "fixed") return std::vector<double>(agreement.size(), options.fixed_rate);
  for (const std::optional<double>& rate : agreement) {
    rates.push_back(std::max(options.min_rate, options.rate == "dyn" ? rate.value_or(mean) : mean));
  }
  return rates;
}

}  // namespace plumb
