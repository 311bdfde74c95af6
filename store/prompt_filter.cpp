#include "store/prompt_filter.hpp"

#include <algorithm>

namespace plumb::store {

void add_prompt_filter(Database& db, std::int64_t pair_set_id,
                       const std::vector<PromptFilterRow>& rows) {
  Transaction transaction(db);
  Statement add = db.prepare(
      "INSERT INTO prompt_filter(pair_set_id, prompt_id, n, best, worst, reason) "
      "VALUES(:pair_set, :prompt, :n, :best, :worst, :reason)");
  for (const PromptFilterRow& row : rows)
    add.bind(pair_set_id, row.prompt_id, row.n, row.best, row.worst, row.reason).run();
  transaction.commit();
}

std::vector<PromptFilterRow> prompt_filter(const Database& db, std::int64_t pair_set_id) {
  Statement query = db.prepare(
      "SELECT prompt_id, n, best, worst, reason FROM prompt_filter WHERE pair_set_id=? ORDER BY "
      "prompt_id");
  query.bind(pair_set_id);
  std::vector<PromptFilterRow> rows;
  while (query.step()) {
    PromptFilterRow row{query.integer(0), query.integer(1), query.optional_real(2),
                        query.optional_real(3), std::nullopt};
    if (!query.is_null(4)) row.reason = query.text(4);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::set<std::int64_t> dropped_prompts(const Database& db, std::int64_t run_id,
                                       const std::string& set, std::int64_t iteration_index,
                                       const std::vector<std::string>& reasons) {
  // Of the rows with the largest idx the bare column `reason` is that row's (SQLite's max()).
  Statement query = db.prepare(
      "SELECT f.prompt_id, f.reason, max(i.idx) FROM prompt_filter f JOIN pair_sets t "
      "USING(pair_set_id) JOIN iterations i USING(iteration_id) WHERE i.run_id=? AND t.name=? AND "
      "i.idx<? AND f.n>0 GROUP BY f.prompt_id");
  query.bind(run_id, set, iteration_index);
  std::set<std::int64_t> prompts;
  while (query.step()) {
    if (!query.is_null(1) &&
        std::find(reasons.begin(), reasons.end(), query.text(1)) != reasons.end())
      prompts.insert(query.integer(0));
  }
  return prompts;
}

}  // namespace plumb::store
