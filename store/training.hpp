#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

/// One pair's line in the ledger of an optimizer step.
struct LedgerRow {
  std::int64_t pair_id = 0;
  double loss = 0, margin = 0, logp_chosen = 0, logp_rejected = 0;  // before the step's update
  /// What the loss remembers of the pair from now on (table pair_targets).
  struct Target {
    double right = 0, wrong = 0;
    std::int64_t visits = 0;
  };
  std::optional<Target> target{};
};
struct StepRow {
  std::int64_t run_id = 0, iteration_id = 0, global_step = 0;
  double epoch = 0, learning_rate = 0;
  std::optional<double> loss, grad_norm;
  std::int64_t tokens = 0, wall_ms = 0, rss_bytes = 0;
  std::vector<std::pair<std::string, double>> metrics;  // TRL names
  std::vector<LedgerRow> ledger;
};
/// Writes step, metrics and ledger in one transaction.
void add_step(Database& db, const StepRow& step);
/// Forgets the steps after a restored checkpoint: they will be done again.
void remove_steps_after(Database& db, std::int64_t run_id, std::int64_t iteration_id,
                        std::int64_t global_step);
std::optional<std::int64_t> last_step(const Database& db, std::int64_t run_id);

struct EvaluationRow {
  std::int64_t run_id = 0;
  std::int64_t iteration_id = 0;
  std::optional<std::int64_t> checkpoint_id;
  std::string suite, metric;
  double value = 0;
  std::optional<double> ci_low, ci_high;  // 95 % bootstrap interval
  std::optional<std::int64_t> n;
  std::string detail;  // JSON or ""
};
/// Adds or replaces.
void add_evaluation(Database& db, const EvaluationRow& row);
/// All evaluations of a run by iteration, suite, metric.
std::vector<std::pair<std::int64_t, EvaluationRow>> evaluations(
    const Database& db, std::int64_t run_id);  // first = iteration index

}  // namespace plumb::store
