#include "store/training.hpp"

#include <cmath>

namespace plumb::store {

void add_step(Database& db, const StepRow& step) {
  Transaction transaction(db);
  db.prepare(
        "INSERT INTO steps(run_id, iteration_id, global_step, epoch, lr, loss, grad_norm, tokens, "
        "wall_ms, rss_bytes) "
        "VALUES(:run, :iteration, :global_step, :epoch, :lr, :loss, :grad_norm, :tokens, :wall_ms, "
        ":rss_bytes)")
      .bind(step.run_id, step.iteration_id, step.global_step, step.epoch, step.learning_rate,
            step.loss, step.grad_norm, step.tokens, step.wall_ms, step.rss_bytes)
      .run();
  const std::int64_t id = db.last_insert_id();
  Statement add_metric =
      db.prepare("INSERT INTO step_metrics(step_id, name, value) VALUES(:step, :name, :value)");
  for (const auto& [name, value] : step.metrics) {
    if (!std::isfinite(value)) {
      throw DataError(cat("step ", step.global_step, ": metric ", name, " is ", value,
                          "; only finite numbers can be stored"));
    }
    add_metric.bind(id, name, value).run();
  }
  Statement add_visit = db.prepare(
      "INSERT INTO step_pairs(step_id, position, pair_id, loss, margin, logp_chosen, "
      "logp_rejected) "
      "VALUES(:step, :position, :pair, :loss, :margin, :logp_chosen, :logp_rejected)");
  Statement add_target = db.prepare(
      "INSERT INTO pair_targets(step_id, pair_id, t_right, t_wrong, visits) "
      "VALUES(:step, :pair, :t_right, :t_wrong, :visits)");
  std::int64_t position = 0;
  for (const LedgerRow& row : step.ledger) {
    add_visit
        .bind(id, position++, row.pair_id, row.loss, row.margin, row.logp_chosen, row.logp_rejected)
        .run();
    if (row.target) {
      add_target.bind(id, row.pair_id, row.target->right, row.target->wrong, row.target->visits)
          .run();
    }
  }
  transaction.commit();
}

void remove_steps_after(Database& db, std::int64_t run_id, std::int64_t iteration_id,
                        std::int64_t global_step) {
  db.prepare("DELETE FROM steps WHERE run_id=? AND iteration_id=? AND global_step>?")
      .bind(run_id, iteration_id, global_step)
      .run();
}

std::optional<std::int64_t> last_step(const Database& db, std::int64_t run_id) {
  Statement query = db.prepare("SELECT max(global_step) FROM steps WHERE run_id=?");
  query.bind(run_id).step();
  return query.optional_integer(0);
}

void add_evaluation(Database& db, const EvaluationRow& row) {
  db.prepare(
        "INSERT INTO evaluations(run_id, iteration_id, checkpoint_id, suite, metric, value, "
        "ci_low, ci_high, n, detail) "
        "VALUES(:run, :iteration, :checkpoint, :suite, :metric, :value, :ci_low, :ci_high, :n, "
        ":detail) "
        "ON CONFLICT(run_id, iteration_id, suite, metric) DO UPDATE SET "
        "checkpoint_id=excluded.checkpoint_id, value=excluded.value, "
        "ci_low=excluded.ci_low, ci_high=excluded.ci_high, n=excluded.n, detail=excluded.detail")
      .bind(row.run_id, row.iteration_id, row.checkpoint_id, row.suite, row.metric, row.value,
            row.ci_low, row.ci_high, row.n,
            row.detail.empty() ? std::nullopt : std::optional(row.detail))
      .run();
}

std::vector<std::pair<std::int64_t, EvaluationRow>> evaluations(const Database& db,
                                                                std::int64_t run_id) {
  Statement query = db.prepare(
      "SELECT i.idx, e.iteration_id, e.checkpoint_id, e.suite, e.metric, e.value, e.ci_low, "
      "e.ci_high, e.n, e.detail "
      "FROM evaluations e JOIN iterations i USING(iteration_id) WHERE e.run_id=? ORDER BY i.idx, "
      "e.suite, e.metric");
  query.bind(run_id);
  std::vector<std::pair<std::int64_t, EvaluationRow>> out;
  while (query.step()) {
    EvaluationRow row;
    row.run_id = run_id;
    row.iteration_id = query.integer(1);
    row.checkpoint_id = query.optional_integer(2);
    row.suite = query.text(3);
    row.metric = query.text(4);
    row.value = query.real(5);
    row.ci_low = query.optional_real(6);
    row.ci_high = query.optional_real(7);
    row.n = query.optional_integer(8);
    row.detail = query.text(9);
    out.emplace_back(query.integer(0), std::move(row));
  }
  return out;
}

}  // namespace plumb::store
