#include "pipeline/pairing.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "core/error.hpp"
#include "core/rng.hpp"
#include "rewards/mixing.hpp"

namespace plumb {
namespace {

std::vector<PairCandidate> distinct_by_text(std::span<const PairCandidate> candidates) {
  std::vector<PairCandidate> sorted(candidates.begin(), candidates.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.k < b.k; });
  std::set<std::int64_t> seen;
  std::erase_if(sorted,
                [&](const PairCandidate& one) { return !seen.insert(one.text_hash).second; });
  return sorted;
}

/// Why a guard refuses the pair, or nothing.
std::optional<std::string> guard(const PairCandidate& chosen, const PairCandidate& rejected,
                                 double margin, const PairOptions& options) {
  if (!(margin > 0.0)) return "tie";
  if (margin < options.min_margin) return "margin";
  const auto longer = static_cast<double>(std::max(chosen.tokens, rejected.tokens));
  const auto shorter =
      static_cast<double>(std::max<std::int64_t>(1, std::min(chosen.tokens, rejected.tokens)));
  if (options.max_length_ratio > 0.0 && longer / shorter > options.max_length_ratio)
    return "length_ratio";
  if (options.max_length_difference > 0 &&
      std::abs(chosen.tokens - rejected.tokens) > options.max_length_difference)
    return "length_difference";
  if (std::min(chosen.tokens, rejected.tokens) < 1) return "empty";
  return std::nullopt;
}

/// The ordinary and the degraded response of the same number with the largest margin.
PairDecision degraded_pair(std::span<const PairCandidate> candidates, const PairOptions& options) {
  PairDecision best{std::nullopt, "no_degraded"};
  for (const PairCandidate& chosen : candidates) {
    for (const PairCandidate& rejected : candidates) {
      if (chosen.degraded || !rejected.degraded || chosen.k != rejected.k) continue;
      const double margin = chosen.score - rejected.score;
      if (best.pair && margin <= best.pair->margin) continue;
      std::optional<std::string> dropped = guard(chosen, rejected, margin, options);
      if (chosen.text_hash == rejected.text_hash) dropped = "duplicates";
      best = {PairDecision::Pair{chosen.sample_id, rejected.sample_id, margin, dropped}, ""};
    }
  }
  return best;
}

bool counts_places(const PairOptions& options) {
  return options.rule == "borda" || options.rule == "chamberlin_courant";
}

/// Scores of a pool's responses, a list a module.
std::vector<std::vector<double>> scores_by_module(const std::vector<PairCandidate>& pool) {
  std::vector<std::vector<double>> modules(pool.front().by_module.size());
  for (const PairCandidate& one : pool) {
    expects(one.by_module.size() == modules.size(), "a score by each module");
    for (std::size_t m = 0; m < modules.size(); ++m) modules[m].push_back(one.by_module[m]);
  }
  return modules;
}

/// Third of each response by length in tokens, 0 = shortest; as many groups as there are responses
/// if these are fewer than three.
std::vector<std::size_t> length_groups(const std::vector<PairCandidate>& pool) {
  std::vector<std::size_t> order(pool.size()), groups(pool.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return pool[a].tokens < pool[b].tokens; });
  const std::size_t count = std::min<std::size_t>(3, pool.size());
  for (std::size_t rank = 0; rank < order.size(); ++rank)
    groups[order[rank]] = rank * count / order.size();
  return groups;
}

/// Gives the pool its Borda points as scores, and narrows it to a committee where the rule says so.
void count_places(std::vector<PairCandidate>& pool, const PairOptions& options) {
  const auto modules = scores_by_module(pool);
  const std::vector<double> points = borda(modules);
  for (std::size_t i = 0; i < pool.size(); ++i) pool[i].score = points[i];
  if (options.rule != "chamberlin_courant") return;
  const auto size = std::min(pool.size(), static_cast<std::size_t>(options.committee));
  std::vector<std::size_t> groups;
  if (options.committee_quota == "length") groups = length_groups(pool);
  const std::vector<GroupLimit> limits(std::min<std::size_t>(3, pool.size()), GroupLimit{.low = 1});
  std::vector<PairCandidate> kept;
  for (const std::size_t i : chamberlin_courant(modules, size, groups, limits))
    kept.push_back(pool[i]);
  pool = std::move(kept);
}

/// Whether more than half of the modules score the chosen response higher.
bool majority_agrees(const PairCandidate& chosen, const PairCandidate& rejected) {
  const std::vector<std::vector<double>> modules = scores_by_module({chosen, rejected});
  return ordered_share(modules, 0, 1) > 0.5;
}

}  // namespace

PairDecision choose_pair(std::span<const PairCandidate> candidates, std::int64_t total_responses,
                         const PairOptions& options, std::uint64_t seed, std::uint64_t prompt) {
  if (options.rule == "degraded") return degraded_pair(candidates, options);
  std::vector<PairCandidate> pool = distinct_by_text(candidates);
  const auto none = [](const char* reason) { return PairDecision{std::nullopt, reason}; };
  if (candidates.size() < 2) return none(total_responses >= 2 ? "unscored" : "too_few_responses");
  if (pool.size() < 2) return none("duplicates");
  if (options.rule == "max_min_p") {
    for (PairCandidate& one : pool)
      one.score -= options.length_penalty * static_cast<double>(one.characters);
  }
  if (counts_places(options)) count_places(pool, options);
  const RandomStream stream(seed, 0, prompt);
  if (options.rule == "random") {
    const std::size_t first = stream.below(0, pool.size());
    const std::size_t second = (first + 1 + stream.below(1, pool.size() - 1)) % pool.size();
    pool = {pool[first], pool[second]};
  }
  std::stable_sort(pool.begin(), pool.end(), [](const auto& a, const auto& b) {
    return a.score > b.score || (a.score == b.score && a.k < b.k);
  });
  const PairCandidate& chosen = pool.front();
  std::size_t other = pool.size() - 1;
  if (options.rule == "max_random") other = 1 + stream.below(2, pool.size() - 1);
  if (options.rule == "max_max") other = 1;
  const PairCandidate& rejected = pool[other];
  const double margin = chosen.score - rejected.score;
  std::optional<std::string> dropped = guard(chosen, rejected, margin, options);
  if (!dropped && counts_places(options) && !majority_agrees(chosen, rejected))
    dropped = "disagreement";
  return {PairDecision::Pair{chosen.sample_id, rejected.sample_id, margin, dropped}, ""};
}

}  // namespace plumb
