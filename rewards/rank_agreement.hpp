#pragma once
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// How well two score lists order the same responses. Higher scores are better; all functions take
/// finite scores.
namespace plumb {

/// Ranks 1 (lowest) to N; equal scores are ranked by position, the earlier one lower.
std::vector<int> ranks_ordinal(std::span<const double> scores);

enum class KendallVariant { kA, kB };

/// Kendall's tau of two lists of one length N >= 2, in [-1, 1]. Pairs tied in either list count 0.
///   A: sum of signs / (N (N - 1) / 2)
///   B: sum of signs / sqrt((pairs untied in a) (pairs untied in b)); empty if a list is all ties
std::optional<double> kendall_tau(std::span<const double> a, std::span<const double> b,
                                  KendallVariant variant);

/// Spearman's rho, in [-1, 1]: correlation of the ranks, ties sharing their mean rank; empty if a
/// list is all ties.
std::optional<double> spearman_rho(std::span<const double> a, std::span<const double> b);

/// Positions of the highest and the lowest score, the first of equal ones; empty if they are the
/// same.
std::optional<std::pair<std::size_t, std::size_t>> best_and_worst(std::span<const double> scores);

/// Whether both lists have the same best and the same worst response (TopOrder of CREAM, arXiv
/// 2410.12735).
bool top_order(std::span<const double> a, std::span<const double> b);

/// What CREAM's released code computes under that name: the first response has the same ordinal
/// rank in both lists, and so has the last.
bool top_order_released(std::span<const double> a, std::span<const double> b);

}  // namespace plumb
