#include "pipeline/agreement.hpp"

#include <cmath>
#include <cstdio>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"
#include "pipeline/statistics.hpp"
#include "rewards/consistency.hpp"
#include "rewards/mixing.hpp"
#include "store/consistency.hpp"
#include "store/rewards.hpp"

namespace plumb {
namespace {

constexpr const char* kSelfReward = "cream";

/// Agreement by prompt, in the order of the groups.
using Agreements = std::vector<std::optional<double>>;

Agreements agreements(const std::vector<PromptGroup>& groups, const ResponseValues& a,
                      const ResponseValues& b, const ConsistencyOptions& options) {
  Agreements out;
  for (const PromptGroup& group : groups) {
    const PromptGroup distinct = distinct_texts(group);
    out.push_back(consistency(a.of(distinct), b.of(distinct), options));
  }
  return out;
}

std::vector<double> known(const Agreements& values) {
  std::vector<double> out;
  for (const std::optional<double>& value : values) {
    if (value) out.push_back(*value);
  }
  return out;
}

void store_agreements(RunContext& context, const store::Iteration& iteration,
                      const std::vector<PromptGroup>& groups, const Agreements& values,
                      const std::string& metric, const std::string& a, const std::string& b) {
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!values[i]) continue;
    store::add_consistency(context.db,
                           {iteration.id, groups[i].prompt_id, metric, a, b, *values[i]});
  }
}

void store_rankings(RunContext& context, const store::Iteration& iteration,
                    const std::vector<PromptGroup>& groups, const ResponseValues& values,
                    const std::string& ranker) {
  store::remove_rankings(context.db, iteration.id, ranker);
  for (const PromptGroup& group : groups) {
    std::vector<double> scores;
    std::vector<std::int64_t> ids;
    for (const store::SampleRow* sample : group.responses) {
      const auto value = values.of_sample.find(sample->id);
      if (value == values.of_sample.end()) continue;
      ids.push_back(sample->id);
      scores.push_back(value->second);
    }
    const std::vector<int> place = places(scores);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      store::add_ranking(context.db,
                         {iteration.id, group.prompt_id, ranker, ids[i], place[i], scores[i]});
    }
  }
}

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

double deviation(const std::vector<double>& values) {
  const double center = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - center) * (value - center);
  return values.size() < 2 ? 0 : std::sqrt(squares / static_cast<double>(values.size() - 1));
}

/// The stored metric that a method belongs to.
std::string metric_of(const std::string& method) { return method.substr(0, method.find('_')); }

}  // namespace

void store_module_agreement(RunContext& context, const store::Iteration& iteration,
                            const std::vector<PromptGroup>& groups) {
  std::vector<ModuleScores> modules;
  for (const std::string& name : context.config.score.modules) {
    if (auto scores = find_module_scores(context, iteration, name))
      modules.push_back(std::move(*scores));
  }
  const ConsistencyOptions kendall;
  for (std::size_t i = 0; i < modules.size(); ++i) {
    for (std::size_t j = i + 1; j < modules.size(); ++j) {
      const std::string a = "module:" + modules[i].name, b = "module:" + modules[j].name;
      const Agreements values = agreements(groups, modules[i].scores, modules[j].scores, kendall);
      store::remove_consistency(context.db, iteration.id, a, b);
      store_agreements(context, iteration, groups, values, "kendall", a, b);
      const std::vector<double> rates = known(values);
      log::info(cat("agreement of ", modules[i].name, " and ", modules[j].name, ": ",
                    rates.empty() ? "-" : rounded(mean(rates)), " over ", rates.size(),
                    " prompts (Kendall; 1 = same order, 0.5 = unrelated, 0 = reversed)"));
    }
  }
}

SelfAgreement store_self_agreement(RunContext& context, const store::Iteration& iteration,
                                   const std::vector<PromptGroup>& groups) {
  const ConsistencyOptions options = context.config.values.read<ConsistencyOptions>("consistency");
  const auto current = find_module_scores(context, iteration, kSelfReward);
  if (!current) {
    throw UsageError(cat("consistency.rate = ", options.rate, ": the module ", kSelfReward,
                         " has not scored iteration ", iteration.index,
                         "; add it to score.modules and run `plumb score`"));
  }
  ResponseValues previous;
  for (const auto& [sample_id, value] :
       store::score_components(context.db, iteration.id, "train", current->module_id, "previous"))
    previous.of_sample[sample_id] = value;

  store_rankings(context, iteration, groups, current->scores, "cur");
  store_rankings(context, iteration, groups, previous, "prev");
  store::remove_consistency(context.db, iteration.id, "cur", "prev");
  SelfAgreement out;
  Agreements deciding;
  std::vector<std::string> parts;
  for (const char* name : {"kendall", "spearman", "toporder"}) {
    const std::string metric = name;
    ConsistencyOptions by = options;
    const bool decides = metric == metric_of(options.method);
    if (!decides) by.method = metric;
    const Agreements values = agreements(groups, current->scores, previous, by);
    if (decides) deciding = values;
    store_agreements(context, iteration, groups, values, metric, "cur", "prev");
    const std::vector<double> rates = known(values);
    if (rates.empty()) continue;
    parts.push_back(cat(by.method, " ", rounded(mean(rates))));
    out.summary[by.method] = {
        {"mean", mean(rates)}, {"sd", deviation(rates)}, {"prompts", rates.size()}};
  }
  out.summary["rate"] = options.rate;
  out.summary["ties"] = options.ties;

  const bool alone = previous.of_sample.empty() && !current->scores.of_sample.empty();
  const std::vector<double> rates = alone && options.rate != "fixed"
                                        ? std::vector<double>(groups.size(), 1.0)
                                        : cream_rates(deciding, options);
  for (std::size_t i = 0; i < groups.size(); ++i) out.labels[groups[i].prompt_id] = rates[i];
  log::info(cat("agreement of the policy with the one before it: ",
                parts.empty() ? "not measured, there is none to compare with" : join(parts, ", "),
                parts.empty() ? "" : cat(" over ", known(deciding).size(), " prompts"), "; labels ",
                alone && options.rate != "fixed" ? "1" : options.rate, ", mean ",
                rounded(mean(rates))));
  return out;
}

}  // namespace plumb
