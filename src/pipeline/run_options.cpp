#include "pipeline/run_options.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "losses/registry.hpp"
#include "rewards/consistency.hpp"
#include "rewards/cream.hpp"
#include "rewards/registry.hpp"

namespace plumb {
namespace {

void check_data(const RunConfig& config) {
  const DataOptions& data = config.data;
  if (!data.prompts.empty() && !data.pairs.empty()) {
    throw UsageError(
        "data.prompts and data.pairs are both set: a run trains on pairs of its own samples "
        "(data.prompts) or on imported ones (data.pairs); prompts for evaluation alone go to "
        "data.heldout_prompts");
  }
  const bool trains = config.run.iterations > 0 || data.heldout_prompts.empty();
  if (trains && data.prompts.empty() && data.pairs.empty())
    throw UsageError(
        "data.prompts is not set: give one or more JSONL files with prompts, or preference files "
        "as data.pairs");
}

}  // namespace

std::vector<Option> run_option_table() {
  std::vector<Option> all;
  const auto add = [&](std::vector<Option> part) {
    std::move(part.begin(), part.end(), std::back_inserter(all));
  };
  add(declared<RunOptions>("run"));
  add(declared<ModelOptions>("model"));
  add(declared<DataOptions>("data"));
  add(declared<SftStageOptions>("sft"));
  add(declared<RolloutOptions>("rollout"));
  add(declared<RolloutEngine::Options>("rollout"));
  add(declared<SamplingOptions>("rollout"));
  add(declared<RunGuideOptions>("guide"));
  add(declared<ScoreOptions>("score"));
  add(reward_options());
  add(declared<FilterOptions>("filter"));
  add(declared<PairOptions>("pair"));
  add(declared<DegradeOptions>("degrade"));
  add(declared<ConsistencyOptions>("consistency"));
  add(loss_options());
  add(declared<TrainOptions>("train"));
  add(declared<EvalOptions>("eval"));
  return all;
}

namespace {

bool among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// What the sections score, filter, pair and consistency ask of each other.
void check_rewards(const RunConfig& config) {
  for (const std::string& module : config.score.train_modules) {
    if (!among(config.score.modules, module))
      throw UsageError(cat("score.train_modules = ", module, ": is not among score.modules"));
    if (module == config.primary_module()) {
      throw UsageError(cat("score.train_modules = ", module,
                           ": is the module that evaluations go by; name another one by "
                           "score.primary"));
    }
  }
  const PairOptions& pair = config.pair;
  if (config.imports_pairs() && !pair.module.empty()) {
    throw UsageError(cat("pair.module = ", pair.module.front(),
                         ": this run's pairs are imported (data.pairs), no module decides them"));
  }
  const std::vector<std::string> deciding = config.deciding_modules();
  for (const std::string& module : deciding) find_reward(module);
  if (!pair.weights.empty() && pair.weights.size() != deciding.size()) {
    throw UsageError(cat("pair.weights: ", pair.weights.size(), " given for ", deciding.size(),
                         " modules of pair.module"));
  }
  if ((pair.rule == "borda" || pair.rule == "chamberlin_courant") && deciding.size() < 2) {
    throw UsageError(cat("pair.rule = ", pair.rule,
                         ": counts places by several modules; name at least two in pair.module"));
  }
  if (pair.committee_quota != "none" && (pair.rule != "chamberlin_courant" || pair.committee < 3)) {
    throw UsageError(
        cat("pair.committee_quota = ", pair.committee_quota,
            ": needs pair.rule = chamberlin_courant and a pair.committee of at least 3"));
  }
  if (config.filter.rule != "none") filter_limits({}, config.filter);
  if (!config.filter.module.empty()) find_reward(config.filter.module);
  if (config.values.read<ConsistencyOptions>("consistency").rate == "off") return;
  if (config.imports_pairs()) {
    throw UsageError(
        "consistency.rate: compares scores of sampled responses; this run's pairs are imported "
        "(data.pairs)");
  }
  if (!among(config.score.modules, "cream") ||
      config.values.read<CreamOptions>("cream").previous.empty()) {
    throw UsageError(
        "consistency.rate: compares the self-rewards of the policy and of the one before it; add "
        "cream to score.modules and keep cream.previous");
  }
}

}  // namespace

RunConfig RunConfig::from(const OptionValues& values) {
  RunConfig config;
  config.run = values.read<RunOptions>("run");
  config.model = values.read<ModelOptions>("model");
  config.data = values.read<DataOptions>("data");
  config.sft = values.read<SftStageOptions>("sft");
  config.rollout = values.read<RolloutOptions>("rollout");
  config.engine = values.read<RolloutEngine::Options>("rollout");
  config.sampling = values.read<SamplingOptions>("rollout");
  config.score = values.read<ScoreOptions>("score");
  config.filter = values.read<FilterOptions>("filter");
  config.pair = values.read<PairOptions>("pair");
  config.degrade = values.read<DegradeOptions>("degrade");
  config.loss = values.read<LossChoice>("loss").name;
  config.train = values.read<TrainOptions>("train");
  config.eval = values.read<EvalOptions>("eval");
  config.guide = values.read<RunGuideOptions>("guide");
  config.values = values;

  if (config.model.path.empty())
    throw UsageError(
        "model.path is not set: give a Hugging Face folder, a .gguf file, or a hub id in the local "
        "cache");
  check_data(config);
  if (config.imports_pairs() && values.find("score.modules") == nullptr)
    config.score.modules.clear();
  const auto& modules = config.score.modules;
  if (modules.empty() && !config.imports_pairs())
    throw UsageError(
        "score.modules is empty: name at least one reward module (`plumb list rewards`)");
  if (!modules.empty() &&
      std::find(modules.begin(), modules.end(), config.primary_module()) == modules.end()) {
    throw UsageError(cat("score.primary = ", config.score.primary, ": is not among score.modules"));
  }
  for (const std::string& module : modules) find_reward(module);
  check_rewards(config);
  if (make_loss(config.loss, values)->needs().token_rewards)
    find_reward(values.read<LossChoice>("loss").token_rewards);
  if (config.sampling.min_new_tokens > config.sampling.max_new_tokens) {
    throw UsageError(cat("rollout.min_new_tokens = ", config.sampling.min_new_tokens,
                         " exceeds rollout.max_new_tokens = ", config.sampling.max_new_tokens));
  }
  return config;
}

}  // namespace plumb
