#include "store/consistency.hpp"

namespace plumb::store {

void add_ranking(Database& db, const RankingRow& row) {
  db.prepare(
        "INSERT INTO rankings(iteration_id, prompt_id, ranker, sample_id, rank, score) "
        "VALUES(:iteration, :prompt, :ranker, :sample, :rank, :score) "
        "ON CONFLICT DO UPDATE SET rank=excluded.rank, score=excluded.score")
      .bind(row.iteration_id, row.prompt_id, row.ranker, row.sample_id, row.rank, row.score)
      .run();
}

std::vector<RankingRow> rankings(const Database& db, std::int64_t iteration_id,
                                 std::int64_t prompt_id, const std::string& ranker) {
  Statement query = db.prepare(
      "SELECT sample_id, rank, score FROM rankings WHERE iteration_id=? AND prompt_id=? AND "
      "ranker=? ORDER BY rank, sample_id");
  query.bind(iteration_id, prompt_id, ranker);
  std::vector<RankingRow> out;
  while (query.step()) {
    out.push_back({iteration_id, prompt_id, ranker, query.integer(0), query.integer(1),
                   query.optional_real(2)});
  }
  return out;
}

void remove_rankings(Database& db, std::int64_t iteration_id, const std::string& ranker) {
  db.prepare("DELETE FROM rankings WHERE iteration_id=? AND ranker=?")
      .bind(iteration_id, ranker)
      .run();
}

void remove_consistency(Database& db, std::int64_t iteration_id, const std::string& ranker_a,
                        const std::string& ranker_b) {
  db.prepare("DELETE FROM consistency WHERE iteration_id=? AND ranker_a=? AND ranker_b=?")
      .bind(iteration_id, ranker_a, ranker_b)
      .run();
}

void add_consistency(Database& db, const ConsistencyRow& row) {
  db.prepare(
        "INSERT INTO consistency(iteration_id, prompt_id, metric, ranker_a, ranker_b, value) "
        "VALUES(:iteration, :prompt, :metric, :ranker_a, :ranker_b, :value) "
        "ON CONFLICT DO UPDATE SET value=excluded.value")
      .bind(row.iteration_id, row.prompt_id, row.metric, row.ranker_a, row.ranker_b, row.value)
      .run();
}

std::vector<ConsistencyRow> consistency(const Database& db, std::int64_t iteration_id,
                                        const std::string& metric) {
  Statement query = db.prepare(
      "SELECT prompt_id, ranker_a, ranker_b, value FROM consistency WHERE iteration_id=? AND "
      "metric=? "
      "ORDER BY prompt_id, ranker_a, ranker_b");
  query.bind(iteration_id, metric);
  std::vector<ConsistencyRow> out;
  while (query.step()) {
    out.push_back(
        {iteration_id, query.integer(0), metric, query.text(1), query.text(2), query.real(3)});
  }
  return out;
}

}  // namespace plumb::store
