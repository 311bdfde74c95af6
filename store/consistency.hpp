#pragma once
#include <string>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

/// The place of a response among those of its prompt, by one ranker ("cur", "prev", "module:3",
/// ...).
struct RankingRow {
  std::int64_t iteration_id = 0, prompt_id = 0;
  std::string ranker;
  std::int64_t sample_id = 0, rank = 0;  // 1 = best
  std::optional<double> score;
};
/// Adds or replaces.
void add_ranking(Database& db, const RankingRow& row);
/// A prompt's ranking by one ranker, best first.
std::vector<RankingRow> rankings(const Database& db, std::int64_t iteration_id,
                                 std::int64_t prompt_id, const std::string& ranker);

/// Forgets what a ranker said in an iteration.
void remove_rankings(Database& db, std::int64_t iteration_id, const std::string& ranker);

/// How far two rankings of a prompt agree (CREAM, arXiv:2410.12735). metric: kendall, spearman,
/// toporder.
struct ConsistencyRow {
  std::int64_t iteration_id = 0, prompt_id = 0;
  std::string metric, ranker_a, ranker_b;
  double value = 0;
};
/// Adds or replaces.
void add_consistency(Database& db, const ConsistencyRow& row);
/// Forgets how far two rankers agreed in an iteration, by all metrics.
void remove_consistency(Database& db, std::int64_t iteration_id, const std::string& ranker_a,
                        const std::string& ranker_b);
/// Rows of an iteration by prompt.
std::vector<ConsistencyRow> consistency(const Database& db, std::int64_t iteration_id,
                                        const std::string& metric);

}  // namespace plumb::store
