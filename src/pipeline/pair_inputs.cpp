#include "pipeline/pair_inputs.hpp"

#include <algorithm>
#include <set>

#include "core/error.hpp"
#include "core/log.hpp"
#include "losses/registry.hpp"
#include "losses/spans.hpp"
#include "pipeline/run_prompts.hpp"
#include "pipeline/scoring.hpp"
#include "store/rewards.hpp"
#include "store/samples.hpp"

namespace plumb {
namespace {

constexpr std::size_t kUnitPairs = 256;
constexpr const char* kRunAnnotate = "; run `plumb annotate` first";

std::string token_module(const RunContext& context) {
  return context.config.values.read<LossChoice>("loss").token_rewards;
}

std::vector<store::PairSpan> spans_of(std::int64_t pair_id, const TrainingPair& pair,
                                      const SpanOptions& options) {
  std::vector<store::PairSpan> out;
  for (const DiffSpan& span : find_spans(pair.chosen.ids, pair.rejected.ids, options).spans) {
    out.push_back({pair_id, static_cast<std::int64_t>(out.size()), span.chosen_begin,
                   span.chosen_end, span.rejected_begin, span.rejected_end});
  }
  return out;
}

void add_reference(const RunContext& context, std::int64_t reference, const store::PairRow& row,
                   TrainingPair& pair) {
  const auto fill = [&](std::int64_t sample_id, TrainingPair::Side& side) {
    auto stored = store::find_reference_logps(context.db, sample_id, reference);
    if (!stored)
      throw UsageError(cat("pair ", row.id, ": has no reference log-probs", kRunAnnotate));
    side.ref_logps = std::move(stored->values);
  };
  fill(row.chosen_id, pair.chosen);
  fill(row.rejected_id, pair.rejected);
}

void add_spans(const RunContext& context, const store::PairRow& row, TrainingPair& pair) {
  for (const store::PairSpan& span : store::pair_spans(context.db, row.id)) {
    pair.chosen.spans.emplace_back(span.chosen_begin, span.chosen_end);
    pair.rejected.spans.emplace_back(span.rejected_begin, span.rejected_end);
  }
}

void add_token_rewards(const RunContext& context, std::int64_t module_id, const store::PairRow& row,
                       TrainingPair& pair) {
  pair.chosen.token_rewards = store::find_token_rewards(context.db, row.chosen_id, module_id);
  pair.rejected.token_rewards = store::find_token_rewards(context.db, row.rejected_id, module_id);
  if (pair.chosen.token_rewards.empty() || pair.rejected.token_rewards.empty()) {
    throw UsageError(
        cat("pair ", row.id, ": has no token rewards of ", token_module(context), kRunAnnotate));
  }
}

/// The pair set's module scored both responses; a pair of several modules or from a file has its
/// margin alone.
void add_rewards(const RunContext& context, std::optional<std::int64_t> module_id,
                 const store::PairRow& row, TrainingPair& pair) {
  if (!module_id) {
    pair.chosen.reward = row.margin;
    return;
  }
  const auto chosen = store::find_score(context.db, row.chosen_id, *module_id);
  const auto rejected = store::find_score(context.db, row.rejected_id, *module_id);
  if (!chosen || !rejected)
    throw UsageError(cat("pair ", row.id,
                         ": a response has no score any more; run `plumb pair` "
                         "again"));
  pair.chosen.reward = *chosen;
  pair.rejected.reward = *rejected;
}

/// The prompt's reference answer, unless there is none or it is too long.
void add_gold(const RunContext& context, const store::PairRow& row, TrainingPair& pair) {
  const std::optional<store::PromptRow> prompt = store::find_prompt(context.db, row.prompt_id);
  if (!prompt || !prompt->reference_answer || prompt->reference_answer->empty()) return;
  pair.baseline = answer_ids(context, *prompt->reference_answer);
  const auto length = static_cast<std::int64_t>(pair.prompt.size() + pair.baseline.size());
  if (length > context.config.train.max_length) pair.baseline.clear();
}

std::optional<std::int64_t> module_of_set(const RunContext& context, std::int64_t pair_set_id) {
  auto query = context.db.prepare("SELECT module_id FROM pair_sets WHERE pair_set_id=?");
  query.bind(pair_set_id).step();
  return query.optional_integer(0);
}

}  // namespace

void annotate_spans(RunContext& context, const std::vector<store::PairRow>& rows,
                    const std::vector<TrainingPair>& pairs) {
  const SpanOptions options = context.config.values.read<SpanOptions>("spans");
  std::int64_t with_spans = 0, covered = 0, tokens = 0;
  for (std::size_t begin = 0; begin < rows.size(); begin += kUnitPairs) {
    store::Transaction transaction(context.db);
    for (std::size_t i = begin; i < std::min(rows.size(), begin + kUnitPairs); ++i) {
      std::vector<store::PairSpan> spans = store::pair_spans(context.db, rows[i].id);
      if (spans.empty()) {
        spans = spans_of(rows[i].id, pairs[i], options);
        for (const store::PairSpan& span : spans) store::add_pair_span(context.db, span);
      }
      with_spans += spans.empty() ? 0 : 1;
      for (const store::PairSpan& span : spans)
        covered += span.chosen_end - span.chosen_begin + span.rejected_end - span.rejected_begin;
      tokens +=
          static_cast<std::int64_t>(pairs[i].chosen.ids.size() + pairs[i].rejected.ids.size());
    }
    transaction.commit();
  }
  log::info(cat("key spans: in ", with_spans, " of ", rows.size(), " pairs, over ",
                tokens > 0 ? 100 * covered / tokens : 0, " % of their tokens"));
}

void annotate_token_rewards(RunContext& context, const store::Iteration& iteration,
                            const std::vector<store::PairRow>& rows) {
  const std::string name = token_module(context);
  const RunContext::Module& module = context.reward(name, iteration);
  std::set<std::int64_t> missing;
  for (const store::PairRow& row : rows) {
    for (const std::int64_t id : {row.chosen_id, row.rejected_id}) {
      if (store::find_token_rewards(context.db, id, module.id).empty()) missing.insert(id);
    }
  }
  if (missing.empty()) return;
  score_responses(context, module, cat("token rewards ", name),
                  std::vector<std::int64_t>(missing.begin(), missing.end()));

  std::set<std::int64_t> without;
  for (const std::int64_t id : missing) {
    if (store::find_token_rewards(context.db, id, module.id).empty()) without.insert(id);
  }
  if (without.size() == missing.size()) {
    std::string reason;
    for (const store::RewardRow& row : store::rewards_of_sample(context.db, *without.begin())) {
      if (row.module_id == module.id) reason = row.error;
    }
    throw UsageError(cat("loss.token_rewards = ", name, ": gives no value per token",
                         reason.empty() ? "; choose another module, such as treg" : ": ", reason));
  }
  std::int64_t dropped = 0;
  store::Transaction transaction(context.db);
  for (const store::PairRow& row : rows) {
    if (!without.contains(row.chosen_id) && !without.contains(row.rejected_id)) continue;
    store::drop_pair(context.db, row.id, "no_token_rewards");
    ++dropped;
  }
  transaction.commit();
  if (dropped > 0)
    log::warn(cat(dropped, " of ", rows.size(), " pairs dropped: ", name,
                  " gave no token values (see the column `error` of v_rewards)"));
}

void add_loss_inputs(RunContext& context, const Needs& needs, const store::Iteration& iteration,
                     const std::vector<store::PairRow>& rows, std::vector<TrainingPair>& pairs) {
  if (rows.empty()) return;
  const std::int64_t token_module_id =
      needs.token_rewards ? context.reward(token_module(context), iteration).id : 0;
  const std::optional<std::int64_t> module_id =
      needs.rewards ? module_of_set(context, rows.front().pair_set_id) : std::nullopt;
  if (needs.rewards && !module_id &&
      std::all_of(rows.begin(), rows.end(), [](const auto& row) { return row.margin == 0.0; })) {
    throw UsageError(cat("loss.name = ", context.config.loss,
                         ": reads rewards, and these imported pairs have none; give their rows "
                         "chosen_score and rejected_score"));
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (needs.reference)
      add_reference(context, *iteration.reference_checkpoint_id, rows[i], pairs[i]);
    if (needs.spans) add_spans(context, rows[i], pairs[i]);
    if (needs.token_rewards) add_token_rewards(context, token_module_id, rows[i], pairs[i]);
    if (needs.rewards) add_rewards(context, module_id, rows[i], pairs[i]);
    if (needs.baseline) add_gold(context, rows[i], pairs[i]);
  }
  if (needs.baseline) {
    const auto with_gold = std::count_if(pairs.begin(), pairs.end(),
                                         [](const auto& pair) { return !pair.baseline.empty(); });
    log::info(cat("gold answers: for ", with_gold, " of ", pairs.size(), " pairs"));
  }
}

}  // namespace plumb
