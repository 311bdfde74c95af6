#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/pair_data.hpp"
#include "pipeline/pair_evaluation.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/run_prompts.hpp"
#include "pipeline/statistics.hpp"
#include "rewards/response_text.hpp"
#include "rewards/text_statistics.hpp"
#include "store/rewards.hpp"
#include "store/training.hpp"
#include "text/words.hpp"

namespace plumb {
namespace {

constexpr std::size_t kUnitSamples = 32;

/// How responses to the held-out prompts are sampled.
struct Suite {
  std::string name;
  SamplingOptions sampling;
  double guide_scale = 0.0;          // 0: without guides
  std::string compared_with = name;  // suite of the initial policy
  bool is_guided() const { return guide_scale != 0.0; }
};

std::vector<Suite> suites(const RunContext& context) {
  const RunConfig& config = context.config;
  std::vector<Suite> out{{kHeldout, config.sampling}};
  if (config.eval.cool_temperature > 0.0) {
    SamplingOptions cool = config.sampling;
    cool.temperature = config.eval.cool_temperature;
    cool.top_p = config.eval.cool_top_p;
    out.push_back({kHeldoutCool, cool});
  }
  if (config.guide.models.empty()) return out;
  for (const double scale : config.guide.scales)
    out.push_back({cat(kGuided, scale), config.sampling, scale, kHeldout});
  return out;
}

/// Log-probs of samples under the initial policy, stored once for each sample.
void store_initial_logps(RunContext& context, const std::vector<store::SampleRow>& samples,
                         const std::map<std::int64_t, std::vector<std::int32_t>>& prompt_ids) {
  const std::int64_t initial = context.initial_checkpoint();
  for (std::size_t begin = 0; begin < samples.size(); begin += kUnitSamples) {
    const std::size_t end = std::min(samples.size(), begin + kUnitSamples);
    bool missing = false;
    for (std::size_t i = begin; i < end; ++i)
      missing = missing || !store::find_reference_logps(context.db, samples[i].id, initial);
    if (!missing) continue;
    RaggedBuilder builder;
    for (std::size_t i = begin; i < end; ++i) {
      const std::int64_t prompt = builder.add(prompt_ids.at(samples[i].prompt_id));
      builder.want_logprobs(builder.add(samples[i].ids, prompt));
    }
    const Decoder& model = context.frozen(initial);
    const TokenRows rows = builder.rows(model.device());
    const at::Tensor logps =
        model.token_stats(builder.batch(model.device()), rows).logprobs.to(at::kCPU).contiguous();
    store::Transaction transaction(context.db);
    for (std::size_t i = begin; i < end; ++i) {
      if (store::find_reference_logps(context.db, samples[i].id, initial)) continue;
      const float* data = logps.const_data_ptr<float>();
      std::vector<float> values(data + rows.offsets[i - begin], data + rows.offsets[i - begin + 1]);
      const double total = std::accumulate(values.begin(), values.end(), 0.0);
      store::add_reference_logps(context.db, {samples[i].id, initial, total, std::move(values)});
    }
    transaction.commit();
  }
}

double sum_of(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

/// Mean scores by prompt beside those of the initial policy.
struct Comparison {
  std::vector<double> own, differences, wins;
  Comparison(const SuiteResults& results, const SuiteResults& initial) {
    for (const auto& [prompt, score] : results.mean_by_prompt) {
      own.push_back(score);
      const auto before = initial.mean_by_prompt.find(prompt);
      if (before == initial.mean_by_prompt.end()) continue;
      differences.push_back(score - before->second);
      wins.push_back(score > before->second ? 1.0 : score < before->second ? 0.0 : 0.5);
    }
  }
};

/// What the modules beside the primary one say about steered responses.
void record_other_modules(RunContext& context, const store::Iteration& iteration,
                          const store::Iteration& zero, const Suite& suite,
                          EvaluationRecorder& recorder) {
  for (const std::string& name : context.config.score.modules) {
    if (name == context.config.primary_module()) continue;
    const std::int64_t module_id = context.reward(name, iteration).id;
    const Comparison scores(load_suite(context, iteration.id, suite.name, module_id),
                            load_suite(context, zero.id, suite.compared_with, module_id));
    recorder.add_mean(name + "/mean", scores.own);
    recorder.add_mean(name + "/difference", scores.differences);
    recorder.add_mean(name + "/win_rate", scores.wins);
  }
}

/// Share of a response's 4-grams of words that stand in its prompt: 0 for the answer's own words, 1
/// for a copy.
double copied_share(const std::string& response, const store::PromptRow& prompt) {
  constexpr std::size_t kWords = 4;
  const std::string query = clean_query(messages_of(prompt));
  return copy_rate(wordpunct(response), wordpunct(query), kWords);
}

/// Length, EOS share, copying of the prompt, components, and the comparison with the initial
/// policy's responses to the same prompts.
void record_suite(RunContext& context, const SuiteResults& own, const SuiteResults& initial,
                  bool is_compared, const std::map<std::int64_t, store::PromptRow>& prompts,
                  EvaluationRecorder& recorder) {
  std::vector<double> lengths, ended, copied;
  for (const store::SampleRow& sample : own.samples) {
    lengths.push_back(static_cast<double>(sample.ids.size()));
    ended.push_back(sample.finish_reason == "stop" ? 1.0 : 0.0);
    copied.push_back(copied_share(sample.text, prompts.at(sample.prompt_id)));
  }
  const Comparison reward(own, initial);
  recorder.add_mean("reward/mean", reward.own);
  if (is_compared) {
    recorder.add_mean("reward/difference", reward.differences);
    recorder.add_mean("win_rate", reward.wins);
  }
  const auto count = static_cast<std::int64_t>(own.samples.size());
  recorder.add("completions/mean_length", mean(lengths), count);
  recorder.add("completions/eos_share", mean(ended), count);
  recorder.add("completions/copy_rate", mean(copied), count);
  for (const auto& [name, value] : own.component_means)
    recorder.add(context.config.primary_module() + "/" + name, value, count);
}

/// Mean of log pi - log pi_0 over the suite's responses: the KL of an untempered sampler, an
/// estimate of drift otherwise. With guides, pi is what was sampled from.
void record_drift(RunContext& context, const SuiteResults& own, bool is_guided,
                  EvaluationRecorder& recorder) {
  double sum = 0.0;
  std::int64_t tokens = 0;
  for (const store::SampleRow& sample : own.samples) {
    const auto initial =
        store::find_reference_logps(context.db, sample.id, context.initial_checkpoint());
    expects(initial.has_value(), "log-probs under the initial policy");
    sum += sum_of(is_guided ? sample.logp_sampling : sample.logp_policy) - initial->total;
    tokens += static_cast<std::int64_t>(sample.ids.size());
  }
  const auto count = static_cast<std::int64_t>(own.samples.size());
  if (count == 0) return;
  recorder.add("objective/kl", sum / static_cast<double>(count), count);
  recorder.add("objective/kl_token", sum / static_cast<double>(std::max<std::int64_t>(1, tokens)),
               tokens);
}

/// How the policy's log-probs of the initial policy's best and worst held-out responses changed,
/// and whether it finds the best one likelier (GenARM's preference), now and before.
void record_pairs(RunContext& context, const SuiteResults& initial,
                  const std::map<std::int64_t, std::vector<std::int32_t>>& prompt_ids,
                  std::int64_t checkpoint_id, EvaluationRecorder& recorder) {
  std::map<std::int64_t, std::vector<const store::SampleRow*>> by_prompt;
  for (const store::SampleRow& sample : initial.samples) {
    if (initial.score_of_sample.count(sample.id) > 0)
      by_prompt[sample.prompt_id].push_back(&sample);
  }
  std::vector<TrainingPair> pairs;
  std::vector<std::pair<double, double>> before;
  for (const auto& [prompt, samples] : by_prompt) {
    const auto score = [&](const store::SampleRow* sample) {
      return initial.score_of_sample.at(sample->id);
    };
    const auto [worst, best] = std::minmax_element(
        samples.begin(), samples.end(), [&](auto* a, auto* b) { return score(a) < score(b); });
    if (!(score(*best) > score(*worst))) continue;
    TrainingPair pair;
    pair.id = prompt;
    pair.prompt = prompt_ids.at(prompt);
    pair.chosen.ids = (*best)->ids;
    pair.rejected.ids = (*worst)->ids;
    pairs.push_back(std::move(pair));
    const auto total = [&](const store::SampleRow* sample) {
      return store::find_reference_logps(context.db, sample->id, context.initial_checkpoint())
          ->total;
    };
    before.emplace_back(total(*best), total(*worst));
  }
  std::vector<const TrainingPair*> pointers;
  for (const TrainingPair& pair : pairs) pointers.push_back(&pair);
  const PairLogps now =
      pair_logps(context.frozen(checkpoint_id), pointers, context.config.train.micro_batch_tokens);
  std::vector<double> chosen, rejected, right, likelier, likelier_before;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const double best = sum_of(now.chosen[i]), worst = sum_of(now.rejected[i]);
    chosen.push_back(best - before[i].first);
    rejected.push_back(worst - before[i].second);
    likelier.push_back(best > worst ? 1.0 : 0.0);
    likelier_before.push_back(before[i].first > before[i].second ? 1.0 : 0.0);
    right.push_back(chosen.back() > rejected.back() ? 1.0 : 0.0);
  }
  recorder.add_mean("eval_logps/chosen_change", chosen);
  recorder.add_mean("eval_logps/rejected_change", rejected);
  recorder.add_mean("eval_rewards/accuracies", right);
  recorder.add_mean("eval_logps/accuracy", likelier);
  recorder.add_mean("eval_logps/accuracy_start", likelier_before);
}

}  // namespace

void run_eval_phase(RunContext& context, const store::Iteration& iteration) {
  const bool is_initial = iteration.index == 0;
  const bool is_last = iteration.index == context.config.run.iterations;
  if (!is_initial && !is_last && context.config.eval.when == "last") return;
  const std::int64_t checkpoint =
      is_initial ? context.initial_checkpoint() : iteration.result_checkpoint_id.value();
  evaluate_pairs(context, iteration, checkpoint);
  const std::vector<store::PromptRow> prompts =
      store::run_prompts(context.db, context.run.id, kHeldout, 0);
  if (prompts.empty() || context.config.eval.samples == 0 || context.config.score.modules.empty())
    return;
  std::map<std::int64_t, std::vector<std::int32_t>> prompt_ids;
  std::map<std::int64_t, store::PromptRow> prompt_rows;
  for (const store::PromptRow& prompt : prompts) {
    prompt_ids[prompt.id] = prompt.ids;
    prompt_rows.emplace(prompt.id, prompt);
  }

  for (const Suite& suite : suites(context)) {
    sample_suite(context, iteration, suite.name, kHeldout, 0, checkpoint,
                 context.config.eval.samples, suite.sampling, suite.guide_scale);
  }
  run_score_phase(context, iteration);

  const std::optional<store::Iteration> zero = store::find_iteration(context.db, context.run.id, 0);
  expects(zero.has_value(), "an evaluated initial policy");
  const RunContext::Module& judge = context.reward(context.config.primary_module(), iteration);
  const std::int64_t module_id = judge.id;
  // A module that asks models of the run judges both sides of the comparison with the same ones.
  if (!is_initial) score_missing(context, judge, *zero);
  for (const Suite& suite : suites(context)) {
    const SuiteResults own = load_suite(context, iteration.id, suite.name, module_id);
    const SuiteResults initial = load_suite(context, zero->id, suite.compared_with, module_id);
    store_initial_logps(context, own.samples, prompt_ids);
    store::Transaction transaction(context.db);
    EvaluationRecorder recorder(context, iteration, checkpoint, suite.name);
    record_suite(context, own, initial, !is_initial || suite.is_guided(), prompt_rows, recorder);
    record_drift(context, own, suite.is_guided(), recorder);
    if (suite.is_guided()) record_other_modules(context, iteration, *zero, suite, recorder);
    if (suite.name == kHeldout && !is_initial)
      record_pairs(context, initial, prompt_ids, checkpoint, recorder);
    transaction.commit();
  }
}

}  // namespace plumb
