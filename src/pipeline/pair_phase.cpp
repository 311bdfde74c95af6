#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"
#include "pipeline/agreement.hpp"
#include "pipeline/degraded_rollout.hpp"
#include "pipeline/filtered_prompts.hpp"
#include "pipeline/imported_pairs.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/scored_groups.hpp"
#include "rewards/consistency.hpp"
#include "rewards/mixing.hpp"
#include "store/pairs.hpp"

namespace plumb {
namespace {

std::string counts_text(const std::map<std::string, std::int64_t>& counts) {
  std::vector<std::string> parts;
  for (const auto& [reason, count] : counts) parts.push_back(cat(count, " ", reason));
  return parts.empty() ? "" : " (left out: " + join(parts, ", ") + ")";
}

/// The modules that pairs go by, with their scores. Throws UsageError if one has not scored the
/// iteration.
std::vector<ModuleScores> deciding_modules(const RunContext& context,
                                           const store::Iteration& iteration) {
  std::vector<ModuleScores> out;
  for (const std::string& name : context.config.deciding_modules()) {
    auto scores = find_module_scores(context, iteration, name);
    if (!scores) {
      throw UsageError(cat("pair.module = ", name, ": has not scored iteration ", iteration.index,
                           "; add it to score.modules and run `plumb score`"));
    }
    out.push_back(std::move(*scores));
  }
  return out;
}

/// What pairs go by: a module's scores, or the weighted sum of several modules' z-scores inside the
/// group. A response without a score in a module that counts gets none.
class PairScores {
 public:
  PairScores(const std::vector<ModuleScores>& modules, const PairOptions& options)
      : modules_(modules), options_(options) {}

  /// Candidates of a group, or nothing if several modules decide and none of them tells its
  /// responses apart.
  std::optional<std::vector<PairCandidate>> candidates(const PromptGroup& group) const {
    std::vector<WeightedScores> lists;
    for (std::size_t m = 0; m < modules_.size(); ++m)
      lists.push_back(
          {options_.weights.empty() ? 1.0 : options_.weights[m], modules_[m].scores.of(group)});
    const OptionalScores mixed = lists.size() == 1 ? lists.front().scores : mix_scores(lists);
    std::vector<PairCandidate> out;
    for (std::size_t i = 0; i < group.responses.size(); ++i) {
      if (!mixed[i]) continue;
      const store::SampleRow& sample = *group.responses[i];
      PairCandidate one{sample.id,
                        sample.k,
                        *mixed[i],
                        static_cast<std::int64_t>(sample.ids.size()),
                        static_cast<std::int64_t>(sample.text.size()),
                        text_hash63(sample.text),
                        sample.suite == kDegraded};
      for (const WeightedScores& list : lists) {
        if (list.weight != 0) one.by_module.push_back(list.weight * *list.scores[i]);
      }
      out.push_back(std::move(one));
    }
    const bool flat = lists.size() > 1 && out.size() > 1 &&
                      std::all_of(out.begin(), out.end(),
                                  [](const PairCandidate& one) { return one.score == 0; });
    return flat ? std::nullopt : std::optional(std::move(out));
  }

 private:
  const std::vector<ModuleScores>& modules_;
  const PairOptions& options_;
};

/// The decision for each prompt, counted.
struct Decisions {
  std::vector<store::PairRow> pairs;
  std::vector<store::PairSkip> skips;
  std::map<std::string, std::int64_t> left_out;
  std::int64_t kept = 0;
  double length_gap = 0.0;  // tokens, chosen minus rejected, summed over kept pairs

  void skip(std::int64_t prompt_id, const std::string& reason) {
    skips.push_back({prompt_id, reason});
    ++left_out[reason];
  }
  void add(store::PairRow row, const PromptGroup& group) {
    if (row.dropped) {
      ++left_out[*row.dropped];
    } else {
      ++kept;
      for (const store::SampleRow* sample : group.responses) {
        const auto tokens = static_cast<double>(sample->ids.size());
        if (sample->id == row.chosen_id) length_gap += tokens;
        if (sample->id == row.rejected_id) length_gap -= tokens;
      }
    }
    pairs.push_back(std::move(row));
  }
};

Decisions decide(const RunContext& context, const store::Iteration& iteration,
                 const std::vector<PromptGroup>& groups, const PairScores& scores,
                 const std::map<std::int64_t, double>& labels) {
  const PairOptions& options = context.config.pair;
  const auto seed =
      static_cast<std::uint64_t>(context.run.seed) + static_cast<std::uint64_t>(iteration.index);
  Decisions out;
  for (const PromptGroup& group : groups) {
    const auto candidates = scores.candidates(group);
    if (!candidates) {
      out.skip(group.prompt_id, "no_spread");
      continue;
    }
    const PairDecision decision =
        choose_pair(*candidates, static_cast<std::int64_t>(group.responses.size()), options, seed,
                    static_cast<std::uint64_t>(group.prompt_id));
    if (!decision.pair) {
      out.skip(group.prompt_id, decision.skip_reason);
      continue;
    }
    store::PairRow row;
    row.prompt_id = group.prompt_id;
    row.chosen_id = decision.pair->chosen_id;
    row.rejected_id = decision.pair->rejected_id;
    row.margin = decision.pair->margin;
    row.soft_label = labels.empty() ? options.soft_label : labels.at(group.prompt_id);
    row.dropped = decision.pair->dropped;
    out.add(std::move(row), group);
  }
  return out;
}

}  // namespace

void run_pair_phase(RunContext& context, const store::Iteration& iteration) {
  if (context.config.imports_pairs()) return take_imported_pairs(context, iteration);
  const PairOptions& options = context.config.pair;
  const std::vector<ModuleScores> modules = deciding_modules(context, iteration);
  std::vector<store::SampleRow> samples = store::samples(context.db, iteration.id, "train");
  const std::size_t ordinary = samples.size();
  if (options.rule == kDegraded) {
    auto degraded = store::samples(context.db, iteration.id, kDegraded);
    std::move(degraded.begin(), degraded.end(), std::back_inserter(samples));
  }
  const std::vector<PromptGroup> groups = group_by_prompt(samples);
  const std::vector<PromptGroup> ranked = group_by_prompt({samples.data(), ordinary});

  store::Transaction transaction(context.db);
  store_module_agreement(context, iteration, ranked);
  SelfAgreement agreement;
  if (context.config.values.read<ConsistencyOptions>("consistency").rate != "off")
    agreement = store_self_agreement(context, iteration, ranked);
  const FilteredPrompts filtered = filter_prompts(context, iteration, ranked);
  Decisions decisions = decide(context, iteration, filtered.kept(groups),
                               PairScores(modules, options), agreement.labels);
  for (const store::PromptFilterRow& row : filtered.rows) {
    if (row.reason) decisions.skip(row.prompt_id, *row.reason);
  }

  store::PairSet set;
  set.iteration_id = iteration.id;
  set.name = options.set;
  set.strategy = options.rule;
  if (modules.size() == 1) set.module_id = modules.front().module_id;
  nlohmann::json config = {{"rule", options.rule},
                           {"module", join(context.config.deciding_modules(), ", ")},
                           {"length_penalty", options.length_penalty},
                           {"min_margin", options.min_margin},
                           {"max_length_ratio", options.max_length_ratio},
                           {"max_length_difference", options.max_length_difference},
                           {"soft_label", options.soft_label}};
  if (modules.size() > 1) config["weights"] = options.weights;
  if (options.rule == "chamberlin_courant") {
    config["committee"] = options.committee;
    config["committee_quota"] = options.committee_quota;
  }
  if (!agreement.labels.empty()) config["consistency"] = agreement.summary;
  if (!filtered.rows.empty()) {
    config["filter"] = {{"best", filtered.limits.best}, {"spread", filtered.limits.spread}};
  }
  set.config = config.dump();
  const std::int64_t set_id =
      store::write_pair_set(context.db, set, decisions.pairs, decisions.skips);
  store::add_prompt_filter(context.db, set_id, filtered.rows);
  transaction.commit();
  report_filter(context, filtered);
  const std::int64_t kept = decisions.kept;
  log::info(cat("pairs: ", kept, " of ", groups.size(), " prompts by ", options.rule,
                counts_text(decisions.left_out),
                kept > 0
                    ? cat("; chosen longer than rejected by ",
                          decisions.length_gap / static_cast<double>(kept), " tokens on average")
                    : ""));
}

}  // namespace plumb
