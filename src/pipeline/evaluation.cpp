#include "pipeline/evaluation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "store/rewards.hpp"
#include "store/training.hpp"

namespace plumb {
namespace {

enum class Show { kValue, kShare, kSigned };  // a share and a signed value come with their interval
struct Column {
  const char* title;
  const char* metric;
  Show show;
};

constexpr Column kColumns[] = {
    {"S_w > S_l", "eval_logps/accuracy", Show::kShare},
    {"per token", "eval_logps/accuracy_token", Show::kShare},
    {"against start", "eval_logps/accuracy_change", Show::kShare},
    {"in key spans", "eval_logps/span_accuracy", Show::kShare},
    {"reward", "reward/mean", Show::kSigned},
    {"change against start", "reward/difference", Show::kSigned},
    {"win rate", "win_rate", Show::kValue},
    {"tokens", "completions/mean_length", Show::kValue},
    {"EOS", "completions/eos_share", Show::kValue},
    {"copied", "completions/copy_rate", Show::kValue},
    {"KL", "objective/kl", Show::kValue},
    {"chosen", "eval_logps/chosen_change", Show::kValue},
    {"rejected", "eval_logps/rejected_change", Show::kValue},
};

std::string cell(const store::EvaluationRow* row, const Column& column) {
  if (row == nullptr) return "-";
  char text[64];
  if (column.show != Show::kValue && row->ci_low && row->ci_high) {
    std::snprintf(text, sizeof text,
                  column.show == Show::kShare ? "%.3f [%.3f, %.3f]" : "%+.3f [%+.3f, %+.3f]",
                  row->value, *row->ci_low, *row->ci_high);
  } else {
    std::snprintf(text, sizeof text, std::abs(row->value) >= 20 ? "%.1f" : "%.2f", row->value);
  }
  return text;
}

}  // namespace

SuiteResults load_suite(const RunContext& context, std::int64_t iteration_id,
                        const std::string& suite, std::int64_t module_id) {
  SuiteResults out;
  out.samples = store::samples(context.db, iteration_id, suite);
  for (const auto& [sample_id, score] : store::scores(context.db, iteration_id, suite, module_id))
    out.score_of_sample[sample_id] = score;
  std::map<std::int64_t, std::pair<double, int>> by_prompt;
  std::map<std::string, std::pair<double, int>> components;
  for (const store::SampleRow& sample : out.samples) {
    const auto score = out.score_of_sample.find(sample.id);
    if (score == out.score_of_sample.end()) continue;
    by_prompt[sample.prompt_id].first += score->second;
    ++by_prompt[sample.prompt_id].second;
    for (const store::RewardRow& row : store::rewards_of_sample(context.db, sample.id)) {
      if (row.module_id != module_id || row.components.empty()) continue;
      const nlohmann::json parts = nlohmann::json::parse(row.components);
      for (const auto& [name, value] : parts.items()) {
        if (!value.is_number()) continue;
        components[name].first += value.get<double>();
        ++components[name].second;
      }
    }
  }
  for (const auto& [prompt, sum] : by_prompt) out.mean_by_prompt[prompt] = sum.first / sum.second;
  for (const auto& [name, sum] : components) out.component_means[name] = sum.first / sum.second;
  return out;
}

EvaluationRecorder::EvaluationRecorder(RunContext& context, const store::Iteration& iteration,
                                       std::int64_t checkpoint_id, std::string suite)
    : context_(context),
      iteration_(iteration),
      checkpoint_id_(checkpoint_id),
      suite_(std::move(suite)) {}

void EvaluationRecorder::add(const std::string& metric, double value, std::int64_t n,
                             std::optional<Interval> interval) {
  if (!std::isfinite(value)) return;
  store::EvaluationRow row;
  row.run_id = context_.run.id;
  row.iteration_id = iteration_.id;
  row.checkpoint_id = checkpoint_id_;
  row.suite = suite_;
  row.metric = metric;
  row.value = value;
  row.n = n;
  if (interval) {
    row.ci_low = interval->low;
    row.ci_high = interval->high;
  }
  store::add_evaluation(context_.db, row);
}

void EvaluationRecorder::add_mean(const std::string& metric, std::span<const double> items) {
  if (items.empty()) return;
  const Interval interval = bootstrap_mean(items, static_cast<std::uint64_t>(context_.run.seed),
                                           context_.config.eval.bootstrap);
  add(metric, interval.value, static_cast<std::int64_t>(items.size()), interval);
}

std::string evaluation_table(const store::Database& db, std::int64_t run_id) {
  std::map<std::string, std::map<std::int64_t, std::map<std::string, store::EvaluationRow>>>
      by_suite;
  for (const auto& [index, row] : store::evaluations(db, run_id))
    by_suite[row.suite][index][row.metric] = row;
  std::string out;
  for (const auto& [suite, iterations] : by_suite) {
    std::vector<const Column*> columns;
    for (const Column& column : kColumns) {
      if (std::any_of(iterations.begin(), iterations.end(),
                      [&](const auto& one) { return one.second.count(column.metric) > 0; }))
        columns.push_back(&column);
    }
    std::vector<std::vector<std::string>> rows{{"after iteration"}};
    for (const Column* column : columns) rows[0].push_back(column->title);
    for (const auto& [index, metrics] : iterations) {
      std::vector<std::string> row{index == 0 ? "0 (start)" : std::to_string(index)};
      for (const Column* column : columns) {
        const auto it = metrics.find(column->metric);
        row.push_back(cell(it == metrics.end() ? nullptr : &it->second, *column));
      }
      rows.push_back(std::move(row));
    }
    out += suite + "\n";
    std::vector<std::size_t> widths(rows[0].size(), 0);
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows) {
      for (std::size_t i = 0; i < row.size(); ++i)
        out += "  " + std::string(widths[i] - row[i].size(), ' ') + row[i];
      out += "\n";
    }
  }
  return out;
}

}  // namespace plumb
