#include "pipeline/filtered_prompts.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"

namespace plumb {
namespace {

constexpr const char* kResting = "resting";

/// Those of the iteration's prompts that are not to be sampled because an earlier one dropped them.
std::set<std::int64_t> resting_prompts(const RunContext& context, const store::Iteration& iteration,
                                       const std::vector<store::PromptRow>& prompts) {
  const FilterOptions& options = context.config.filter;
  if (options.rule == "none") return {};
  if (options.retry > 0 && iteration.index % options.retry == 0) return {};
  std::set<std::int64_t> resting;
  const std::set<std::int64_t> dropped = store::dropped_prompts(
      context.db, context.run.id, context.config.pair.set, iteration.index, {"hopeless", "flat"});
  for (const store::PromptRow& prompt : prompts) {
    if (dropped.count(prompt.id) > 0) resting.insert(prompt.id);
  }
  if (resting.size() == prompts.size()) return {};
  return resting;
}

store::PromptFilterRow judged(std::int64_t prompt_id, const std::vector<double>& scores,
                              const FilterLimits& limits) {
  store::PromptFilterRow row;
  row.prompt_id = prompt_id;
  row.n = static_cast<std::int64_t>(scores.size());
  if (!scores.empty()) {
    const auto [low, high] = std::minmax_element(scores.begin(), scores.end());
    row.best = *high;
    row.worst = *low;
  }
  row.reason = filter_reason(scores, limits);
  return row;
}

}  // namespace

std::vector<PromptGroup> FilteredPrompts::kept(const std::vector<PromptGroup>& groups) const {
  std::set<std::int64_t> dropped;
  for (const store::PromptFilterRow& row : rows) {
    if (row.reason) dropped.insert(row.prompt_id);
  }
  std::vector<PromptGroup> out;
  std::copy_if(groups.begin(), groups.end(), std::back_inserter(out),
               [&](const PromptGroup& group) { return dropped.count(group.prompt_id) == 0; });
  return out;
}

FilteredPrompts filter_prompts(const RunContext& context, const store::Iteration& iteration,
                               const std::vector<PromptGroup>& groups) {
  const FilterOptions& options = context.config.filter;
  FilteredPrompts out;
  if (options.rule == "none") return out;
  const std::string name =
      options.module.empty() ? context.config.deciding_modules().front() : options.module;
  const auto module = find_module_scores(context, iteration, name);
  if (!module) {
    throw UsageError(cat("filter.module = ", name, ": has not scored iteration ", iteration.index,
                         "; add it to score.modules and run `plumb score`"));
  }
  std::vector<std::vector<double>> of_group;
  std::vector<double> all;
  for (const PromptGroup& group : groups) {
    std::vector<double>& scores = of_group.emplace_back();
    for (const std::optional<double>& score : module->scores.of(group)) {
      if (score) scores.push_back(*score);
    }
    all.insert(all.end(), scores.begin(), scores.end());
  }
  out.limits = filter_limits(all, options);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    out.rows.push_back(judged(groups[i].prompt_id, of_group[i], out.limits));
  }
  std::set<std::int64_t> sampled;
  for (const PromptGroup& group : groups) sampled.insert(group.prompt_id);
  for (const store::PromptRow& prompt :
       store::run_prompts(context.db, context.run.id, "train", iteration.index)) {
    if (!sampled.insert(prompt.id).second) continue;
    store::PromptFilterRow row;
    row.prompt_id = prompt.id;
    row.reason = kResting;
    out.rows.push_back(std::move(row));
  }
  return out;
}

void report_filter(const RunContext& context, const FilteredPrompts& filtered) {
  if (filtered.rows.empty()) return;
  std::map<std::string, std::int64_t> dropped;
  std::size_t resting = 0, kept = 0;
  for (const store::PromptFilterRow& row : filtered.rows) {
    if (!row.reason) {
      ++kept;
      continue;
    }
    if (*row.reason == kResting) ++resting;
    ++dropped[*row.reason];
  }
  std::vector<std::string> parts;
  for (const auto& [reason, count] : dropped) parts.push_back(cat(count, " ", reason));
  const std::size_t sampled = filtered.rows.size() - resting;
  const double share =
      sampled == 0 ? 0.0 : static_cast<double>(kept) / static_cast<double>(sampled);
  const std::string text =
      cat("filter: keeps ", kept, " of ", sampled, " prompts (",
          static_cast<std::int64_t>(100 * share + 0.5), " %)",
          parts.empty() ? "" : "; left out: " + join(parts, ", "), "; best at least ",
          filtered.limits.best, ", spread at least ", filtered.limits.spread);
  log::info(text);
  const double least = context.config.filter.min_kept;
  if (share < least) {
    throw DataError(cat(text, ". That is less than filter.min_kept = ", least,
                        ": the policy and these prompts give hardly any signal. Look at table "
                        "prompt_filter; take easier prompts, or go on with filter.min_kept = 0"));
  }
}

void leave_out_resting(const RunContext& context, const store::Iteration& iteration,
                       std::vector<store::PromptRow>& prompts) {
  const std::set<std::int64_t> resting = resting_prompts(context, iteration, prompts);
  if (resting.empty()) return;
  std::erase_if(prompts,
                [&](const store::PromptRow& prompt) { return resting.count(prompt.id) > 0; });
  log::info(cat(resting.size(), " prompts rest: an earlier iteration found no signal in them"));
}

}  // namespace plumb
