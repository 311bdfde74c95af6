#include "pipeline/pair_evaluation.hpp"

#include <numeric>

#include "core/error.hpp"
#include "core/log.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/imported_pairs.hpp"
#include "pipeline/pair_data.hpp"
#include "pipeline/pair_inputs.hpp"

namespace plumb {
namespace {

/// Log-probs of a stored response, their sum and number.
struct Side {
  double sum = 0.0, tokens = 0.0;
  std::vector<float> values;
};

Side side_of(const RunContext& context, std::int64_t sample_id, std::int64_t checkpoint_id) {
  auto row = store::find_reference_logps(context.db, sample_id, checkpoint_id);
  expects(row.has_value(), "log-probs of every held-out response");
  return {row->total, static_cast<double>(row->values.size()), std::move(row->values)};
}

double sum_of_range(const Side& side, std::int64_t begin, std::int64_t end) {
  return std::accumulate(side.values.begin() + begin, side.values.begin() + end, 0.0);
}

/// What the chosen response gains over the rejected one inside of the pair's key spans.
double span_gain(const std::vector<store::PairSpan>& spans, const Side& chosen,
                 const Side& chosen_start, const Side& rejected, const Side& rejected_start) {
  double gain = 0.0;
  for (const store::PairSpan& span : spans) {
    gain += sum_of_range(chosen, span.chosen_begin, span.chosen_end) -
            sum_of_range(chosen_start, span.chosen_begin, span.chosen_end) -
            sum_of_range(rejected, span.rejected_begin, span.rejected_end) +
            sum_of_range(rejected_start, span.rejected_begin, span.rejected_end);
  }
  return gain;
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

  const std::int64_t initial = context.initial_checkpoint();
  if (checkpoint_id == initial) annotate_spans(context, rows, load_pairs(context, rows));

  std::vector<double> sums, per_token, changes, margins, chosen_change, rejected_change, longer;
  std::vector<double> span_margins, span_wins;
  for (const store::PairRow& row : rows) {
    const Side chosen = side_of(context, row.chosen_id, checkpoint_id);
    const Side rejected = side_of(context, row.rejected_id, checkpoint_id);
    sums.push_back(wins(chosen.sum, rejected.sum));
    per_token.push_back(wins(chosen.sum / chosen.tokens, rejected.sum / rejected.tokens));
    margins.push_back(chosen.sum - rejected.sum);
    longer.push_back(wins(chosen.tokens, rejected.tokens));
    if (checkpoint_id == initial) continue;
    const Side chosen_start = side_of(context, row.chosen_id, initial);
    const Side rejected_start = side_of(context, row.rejected_id, initial);
    chosen_change.push_back(chosen.sum - chosen_start.sum);
    rejected_change.push_back(rejected.sum - rejected_start.sum);
    changes.push_back(wins(chosen_change.back(), rejected_change.back()));
    const std::vector<store::PairSpan> spans = store::pair_spans(context.db, row.id);
    if (spans.empty()) continue;
    span_margins.push_back(span_gain(spans, chosen, chosen_start, rejected, rejected_start));
    span_wins.push_back(wins(span_margins.back(), 0.0));
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
    recorder.add_mean("eval_logps/span_accuracy", span_wins);
    recorder.add_mean("eval_logps/span_margin", span_margins);
  }
  transaction.commit();
  log::info(cat("held-out pairs: chosen more likely than rejected in ",
                static_cast<int>(1000.0 * mean(sums) + 0.5) / 10.0, " % of ", rows.size()));
}

}  // namespace plumb
