#include "pipeline/scoring.hpp"

#include <map>
#include <nlohmann/json.hpp>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/progress.hpp"
#include "pipeline/run_prompts.hpp"
#include "store/rewards.hpp"
#include "store/samples.hpp"

namespace plumb {
namespace {

/// Prompts by id, read once.
class PromptCache {
 public:
  explicit PromptCache(const store::Database& db) : db_(db) {}
  const store::PromptRow& operator[](std::int64_t id) {
    const auto it = rows_.find(id);
    if (it != rows_.end()) return it->second;
    std::optional<store::PromptRow> row = store::find_prompt(db_, id);
    expects(row.has_value(), "a stored prompt for every sample");
    return rows_.emplace(id, std::move(*row)).first->second;
  }

 private:
  const store::Database& db_;
  std::map<std::int64_t, store::PromptRow> rows_;
};

void score_unit(RunContext& context, const RunContext::Module& module,
                std::span<const std::int64_t> sample_ids, PromptCache& prompts,
                std::int64_t& failures) {
  std::vector<RewardSample> samples;
  for (const std::int64_t id : sample_ids) {
    std::optional<store::SampleRow> row = store::find_sample(context.db, id);
    expects(row.has_value(), "a stored sample");
    const store::PromptRow& prompt = prompts[row->prompt_id];
    RewardSample sample;
    sample.messages = messages_of(prompt);
    sample.response = std::move(row->text);
    sample.prompt_ids = prompt.ids;
    sample.response_ids = std::move(row->ids);
    sample.finished = row->finish_reason == "stop";
    sample.reference = prompt.reference_answer;
    sample.kind = prompt.kind;
    samples.push_back(std::move(sample));
  }
  const double start = monotonic_seconds();
  const std::vector<Score> scores = module.module->score(samples);
  expects(scores.size() == samples.size(), "one score a sample");
  const auto latency = static_cast<std::int64_t>(1e6 * (monotonic_seconds() - start) /
                                                 static_cast<double>(samples.size()));
  store::Transaction transaction(context.db);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Score& score = scores[i];
    store::RewardRow row;
    row.sample_id = sample_ids[i];
    row.module_id = module.id;
    row.score = score.value;
    row.raw = score.raw;
    row.components = components_json(score);
    row.error = score.value ? "" : score.error.empty() ? "no value" : score.error;
    row.latency_us = latency;
    row.per_token = score.per_token;
    store::add_reward(context.db, row);
    failures += score.value ? 0 : 1;
  }
  transaction.commit();
}

}  // namespace

std::string components_json(const Score& score) {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [name, value] : score.components) out[name] = value;
  for (const auto& [name, value] : score.labels) out[name] = value;
  return out.dump();
}

std::int64_t score_responses(RunContext& context, const RunContext::Module& module,
                             const std::string& title, std::span<const std::int64_t> sample_ids) {
  const std::int64_t unit = context.config.score.unit;
  std::map<std::int64_t, std::vector<std::int64_t>> units;
  for (const std::int64_t id : sample_ids) units[id / unit].push_back(id);
  PromptCache prompts(context.db);
  Progress progress(title, static_cast<std::int64_t>(sample_ids.size()), "responses");
  std::int64_t failures = 0;
  for (const auto& [number, ids] : units) {
    score_unit(context, module, ids, prompts, failures);
    progress.advance(static_cast<std::int64_t>(ids.size()));
  }
  return failures;
}

}  // namespace plumb
