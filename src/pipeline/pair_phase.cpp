#include <map>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"
#include "pipeline/degraded_rollout.hpp"
#include "pipeline/phases.hpp"
#include "store/pairs.hpp"
#include "store/rewards.hpp"
#include "store/samples.hpp"

namespace plumb {
namespace {

std::string counts_text(const std::map<std::string, std::int64_t>& counts) {
  std::vector<std::string> parts;
  for (const auto& [reason, count] : counts) parts.push_back(cat(count, " ", reason));
  return parts.empty() ? "" : " (left out: " + join(parts, ", ") + ")";
}

}  // namespace

void run_pair_phase(RunContext& context, const store::Iteration& iteration) {
  const PairOptions& options = context.config.pair;
  const std::string module_name =
      options.module.empty() ? context.config.primary_module() : options.module;
  const std::optional<std::int64_t> module_id =
      store::find_reward_module(context.db, iteration.id, module_name);
  if (!module_id) {
    throw UsageError(cat("pair.module = ", module_name, ": has not scored iteration ",
                         iteration.index, "; add it to score.modules and run `plumb score`"));
  }
  std::map<std::int64_t, double> scores;
  std::vector<store::SampleRow> samples;
  for (const char* suite : {"train", kDegraded}) {
    if (suite == std::string(kDegraded) && options.rule != kDegraded) continue;
    for (const auto& [sample_id, score] :
         store::scores(context.db, iteration.id, suite, *module_id))
      scores[sample_id] = score;
    auto own = store::samples(context.db, iteration.id, suite);
    std::move(own.begin(), own.end(), std::back_inserter(samples));
  }
  std::map<std::int64_t, std::vector<const store::SampleRow*>> by_prompt;
  for (const store::SampleRow& sample : samples) by_prompt[sample.prompt_id].push_back(&sample);

  std::vector<store::PairRow> pairs;
  std::vector<store::PairSkip> skips;
  std::map<std::string, std::int64_t> left_out;
  std::int64_t kept = 0;
  double length_gap = 0.0;
  for (const auto& [prompt_id, responses] : by_prompt) {
    std::vector<PairCandidate> candidates;
    std::map<std::int64_t, std::int64_t> tokens;
    for (const store::SampleRow* sample : responses) {
      const auto score = scores.find(sample->id);
      if (score == scores.end()) continue;
      const auto length = static_cast<std::int64_t>(sample->ids.size());
      tokens[sample->id] = length;
      candidates.push_back({sample->id, sample->k, score->second, length,
                            static_cast<std::int64_t>(sample->text.size()),
                            text_hash63(sample->text), sample->suite == kDegraded});
    }
    const PairDecision decision = choose_pair(
        candidates, static_cast<std::int64_t>(responses.size()), options,
        static_cast<std::uint64_t>(context.run.seed) + static_cast<std::uint64_t>(iteration.index),
        static_cast<std::uint64_t>(prompt_id));
    if (!decision.pair) {
      skips.push_back({prompt_id, decision.skip_reason});
      ++left_out[decision.skip_reason];
      continue;
    }
    store::PairRow row;
    row.prompt_id = prompt_id;
    row.chosen_id = decision.pair->chosen_id;
    row.rejected_id = decision.pair->rejected_id;
    row.margin = decision.pair->margin;
    row.soft_label = options.soft_label;
    row.dropped = decision.pair->dropped;
    if (row.dropped) {
      ++left_out[*row.dropped];
    } else {
      ++kept;
      length_gap += static_cast<double>(tokens[row.chosen_id] - tokens[row.rejected_id]);
    }
    pairs.push_back(std::move(row));
  }

  store::PairSet set;
  set.iteration_id = iteration.id;
  set.name = options.set;
  set.strategy = options.rule;
  set.module_id = module_id;
  set.config = nlohmann::json{{"rule", options.rule},
                              {"module", module_name},
                              {"length_penalty", options.length_penalty},
                              {"min_margin", options.min_margin},
                              {"max_length_ratio", options.max_length_ratio},
                              {"max_length_difference", options.max_length_difference},
                              {"soft_label", options.soft_label}}
                   .dump();
  store::write_pair_set(context.db, set, pairs, skips);
  log::info(cat("pairs: ", kept, " of ", by_prompt.size(), " prompts by ", options.rule,
                counts_text(left_out),
                kept > 0 ? cat("; chosen longer than rejected by ",
                               length_gap / static_cast<double>(kept), " tokens on average")
                         : ""));
}

}  // namespace plumb
