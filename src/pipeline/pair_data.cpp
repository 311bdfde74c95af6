#include "pipeline/pair_data.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "core/progress.hpp"
#include "store/samples.hpp"

namespace plumb {
namespace {

std::vector<float> slice(const at::Tensor& values, std::int64_t begin, std::int64_t end) {
  const float* data = values.const_data_ptr<float>();
  return {data + begin, data + end};
}

store::SampleRow stored_sample(const RunContext& context, std::int64_t id) {
  std::optional<store::SampleRow> row = store::find_sample(context.db, id);
  expects(row.has_value(), "a stored sample for every pair");
  return std::move(*row);
}

constexpr std::size_t kUnitPairs = 16;

void store_logps(RunContext& context, std::int64_t sample_id, std::int64_t checkpoint_id,
                 std::vector<float> values) {
  if (store::find_reference_logps(context.db, sample_id, checkpoint_id)) return;
  const double total = std::accumulate(values.begin(), values.end(), 0.0);
  store::add_reference_logps(context.db, {sample_id, checkpoint_id, total, std::move(values)});
}

}  // namespace

std::vector<TrainingPair> load_pairs(const RunContext& context,
                                     const std::vector<store::PairRow>& rows) {
  std::vector<TrainingPair> pairs;
  for (const store::PairRow& row : rows) {
    std::optional<store::PromptRow> prompt = store::find_prompt(context.db, row.prompt_id);
    expects(prompt.has_value(), "a stored prompt for every pair");
    TrainingPair pair;
    pair.id = row.id;
    pair.label = row.soft_label;
    pair.prompt = std::move(prompt->ids);
    pair.chosen.ids = stored_sample(context, row.chosen_id).ids;
    pair.rejected.ids = stored_sample(context, row.rejected_id).ids;
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

PairSelection select_pairs(const RunContext& context, const store::Iteration& iteration) {
  const std::string& name = context.config.pair.set;
  const std::optional<store::PairSet> set = store::find_pair_set(context.db, iteration.id, name);
  if (!set)
    throw UsageError(cat("pair.set = ", name, ": iteration ", iteration.index,
                         " has no such pair set; run `plumb pair` first"));
  PairSelection selection;
  const std::vector<store::PairRow> rows = store::active_pairs(context.db, set->id);
  const std::vector<TrainingPair> pairs = load_pairs(context, rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto prompt = static_cast<std::int64_t>(pairs[i].prompt.size());
    const auto longest = static_cast<std::int64_t>(
        std::max(pairs[i].chosen.ids.size(), pairs[i].rejected.ids.size()));
    if (prompt + longest > context.config.train.max_length) {
      ++selection.too_long;
    } else {
      selection.pairs.push_back(rows[i]);
    }
  }
  return selection;
}

PairLogps pair_logps(const Decoder& model, std::span<const TrainingPair* const> pairs,
                     std::int64_t token_budget) {
  const at::NoGradGuard no_grad;
  PairLogps out;
  for (const auto group : cut_by_tokens(pairs, token_budget)) {
    const MicroBatch micro = make_micro_batch(group, {}, model.device());
    const at::Tensor logps =
        model.token_stats(micro.batch, micro.rows).logprobs.to(at::kCPU, at::kFloat).contiguous();
    const std::vector<std::int64_t>& offsets = micro.rows.offsets;
    const std::size_t count = group.size();
    for (std::size_t i = 0; i < count; ++i)
      out.chosen.push_back(slice(logps, offsets[i], offsets[i + 1]));
    for (std::size_t i = count; i < 2 * count; ++i)
      out.rejected.push_back(slice(logps, offsets[i], offsets[i + 1]));
  }
  return out;
}

void store_pair_logps(
    RunContext& context, const std::vector<store::PairRow>& rows, std::int64_t checkpoint_id,
    const std::string& title,
    const std::function<void(const store::PairRow&, const std::vector<float>& chosen,
                             const std::vector<float>& rejected)>& computed) {
  const auto is_done = [&](const store::PairRow& row) {
    return store::find_reference_logps(context.db, row.chosen_id, checkpoint_id) &&
           store::find_reference_logps(context.db, row.rejected_id, checkpoint_id);
  };
  Progress progress(title, static_cast<std::int64_t>(rows.size()), "pairs");
  for (std::size_t begin = 0; begin < rows.size(); begin += kUnitPairs) {
    const std::size_t end = std::min(rows.size(), begin + kUnitPairs);
    const std::vector<store::PairRow> unit(rows.begin() + static_cast<std::ptrdiff_t>(begin),
                                           rows.begin() + static_cast<std::ptrdiff_t>(end));
    if (!std::all_of(unit.begin(), unit.end(), is_done)) {
      const std::vector<TrainingPair> pairs = load_pairs(context, unit);
      std::vector<const TrainingPair*> pointers;
      for (const TrainingPair& pair : pairs) pointers.push_back(&pair);
      PairLogps logps = pair_logps(context.frozen(checkpoint_id), pointers,
                                   context.config.train.micro_batch_tokens);
      store::Transaction transaction(context.db);
      for (std::size_t i = 0; i < unit.size(); ++i) {
        computed(unit[i], logps.chosen[i], logps.rejected[i]);
        store_logps(context, unit[i].chosen_id, checkpoint_id, std::move(logps.chosen[i]));
        store_logps(context, unit[i].rejected_id, checkpoint_id, std::move(logps.rejected[i]));
      }
      transaction.commit();
    }
    progress.set(static_cast<std::int64_t>(end));
  }
}

}  // namespace plumb
