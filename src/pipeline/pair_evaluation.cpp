#include "pipeline/pair_evaluation.hpp"

#include "core/error.hpp"
#include "core/log.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/imported_pairs.hpp"
#include "pipeline/pair_data.hpp"

namespace plumb {
namespace {

/// Summed log-prob and tokens of a stored response.
struct Side {
  double sum = 0.0, tokens = 0.0;
};

Side side_of(const RunContext& context, std::int64_t sample_id, std::int64_t checkpoint_id) {
  const auto row = store::find_reference_logps(context.db, sample_id, checkpoint_id);
  expects(row.has_value(), "log-probs of every held-out response");
  return {row->total, static_cast<double>(row->values.size())};
}

double wins(double chosen, double rejected) {
  return chosen > rejected ? 1.0 : chosen < rejected ? 0.0 : 0.5;
}

}  // namespace

void evaluate_pairs(RunContext& context, const store::Iteration& iteration,
                    std::int64_t checkpoint_id) {
  const auto zero = store::find_iteration(context.db, context.run.id, 0);
  expects(zero.has_value(), "an initial iteration");
  const auto set = store::find_pair_set(context.db, zero->id, kHeldoutPairs);
  if (!set) return;
  const std::vector<store::PairRow> rows = store::active_pairs(context.db, set->id);
  store_pair_logps(context, rows, checkpoint_id, "evaluate held-out pairs",
                   [](const auto&, const auto&, const auto&) {});

  std::vector<double> sums, per_token, changes, margins, chosen_change, rejected_change, longer;
  for (const store::PairRow& row : rows) {
    const Side chosen = side_of(context, row.chosen_id, checkpoint_id);
    const Side rejected = side_of(context, row.rejected_id, checkpoint_id);
    sums.push_back(wins(chosen.sum, rejected.sum));
    per_token.push_back(wins(chosen.sum / chosen.tokens, rejected.sum / rejected.tokens));
    margins.push_back(chosen.sum - rejected.sum);
    longer.push_back(wins(chosen.tokens, rejected.tokens));
    const std::int64_t initial = context.initial_checkpoint();
    if (checkpoint_id == initial) continue;
    chosen_change.push_back(chosen.sum - side_of(context, row.chosen_id, initial).sum);
    rejected_change.push_back(rejected.sum - side_of(context, row.rejected_id, initial).sum);
    changes.push_back(wins(chosen_change.back(), rejected_change.back()));
  }
  store::Transaction transaction(context.db);
  EvaluationRecorder recorder(context, iteration, checkpoint_id, kHeldoutPairs);
  recorder.add_mean("eval_logps/accuracy", sums);
  recorder.add_mean("eval_logps/accuracy_token", per_token);
  recorder.add_mean("eval_logps/margin", margins);
  recorder.add_mean("eval_logps/chosen_longer", longer);
  if (!changes.empty()) {
    recorder.add_mean("eval_logps/accuracy_change", changes);
    recorder.add_mean("eval_logps/chosen_change", chosen_change);
    recorder.add_mean("eval_logps/rejected_change", rejected_change);
  }
  transaction.commit();
  log::info(cat("held-out pairs: chosen more likely than rejected in ",
                static_cast<int>(1000.0 * mean(sums) + 0.5) / 10.0, " % of ", rows.size()));
}

}  // namespace plumb
