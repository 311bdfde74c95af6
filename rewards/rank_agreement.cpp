#include "rewards/rank_agreement.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "core/error.hpp"

namespace plumb {
namespace {

/// Positions from the lowest to the highest score, equal scores in their order.
std::vector<std::size_t> ascending(std::span<const double> scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](auto i, auto j) { return scores[i] < scores[j]; });
  return order;
}

std::vector<double> ranks_mean(std::span<const double> scores) {
  const std::vector<std::size_t> order = ascending(scores);
  std::vector<double> ranks(scores.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && scores[order[end]] == scores[order[begin]]) ++end;
    const double mean = static_cast<double>(begin + end + 1) / 2;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = mean;
    begin = end;
  }
  return ranks;
}

int sign(double difference) { return (difference > 0) - (difference < 0); }

void check_lengths(std::span<const double> a, std::span<const double> b) {
  expects(a.size() == b.size() && a.size() >= 2, "two lists of one length, at least 2");
}

}  // namespace

std::vector<int> ranks_ordinal(std::span<const double> scores) {
  const std::vector<std::size_t> order = ascending(scores);
  std::vector<int> ranks(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) ranks[order[i]] = static_cast<int>(i) + 1;
  return ranks;
}

std::optional<double> kendall_tau(std::span<const double> a, std::span<const double> b,
                                  KendallVariant variant) {
  check_lengths(a, b);
  std::int64_t sum = 0, pairs = 0, untied_a = 0, untied_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = i + 1; j < a.size(); ++j) {
      const int in_a = sign(a[i] - a[j]), in_b = sign(b[i] - b[j]);
      sum += std::int64_t{in_a} * in_b;
      ++pairs;
      untied_a += in_a != 0;
      untied_b += in_b != 0;
    }
  }
  if (variant == KendallVariant::kA) return static_cast<double>(sum) / static_cast<double>(pairs);
  if (untied_a == 0 || untied_b == 0) return std::nullopt;
  return static_cast<double>(sum) /
         std::sqrt(static_cast<double>(untied_a) * static_cast<double>(untied_b));
}

std::optional<double> spearman_rho(std::span<const double> a, std::span<const double> b) {
  check_lengths(a, b);
  const std::vector<double> ranks_a = ranks_mean(a), ranks_b = ranks_mean(b);
  const double mean = static_cast<double>(a.size() + 1) / 2;
  double product = 0, square_a = 0, square_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += (ranks_a[i] - mean) * (ranks_b[i] - mean);
    square_a += (ranks_a[i] - mean) * (ranks_a[i] - mean);
    square_b += (ranks_b[i] - mean) * (ranks_b[i] - mean);
  }
  if (square_a == 0 || square_b == 0) return std::nullopt;
  return product / std::sqrt(square_a * square_b);
}

std::optional<std::pair<std::size_t, std::size_t>> best_and_worst(std::span<const double> scores) {
  expects(!scores.empty(), "scores");
  const auto best =
      static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  const auto worst =
      static_cast<std::size_t>(std::min_element(scores.begin(), scores.end()) - scores.begin());
  if (best == worst) return std::nullopt;
  return std::pair{best, worst};
}

bool top_order(std::span<const double> a, std::span<const double> b) {
  check_lengths(a, b);
  const auto ends = best_and_worst(a);
  return ends && ends == best_and_worst(b);
}

bool top_order_released(std::span<const double> a, std::span<const double> b) {
  check_lengths(a, b);
  const std::vector<int> ranks_a = ranks_ordinal(a), ranks_b = ranks_ordinal(b);
  return ranks_a.front() == ranks_b.front() && ranks_a.back() == ranks_b.back();
}

}  // namespace plumb
