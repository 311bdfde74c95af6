#pragma once
#include <span>
#include <string>
#include <vector>

#include "pipeline/run_context.hpp"

/// The phases of an iteration. Each finds what is missing in the store, does it unit by unit, and
/// commits each unit whole.
namespace plumb {

/// Samples a suite's responses ("train", or an evaluation suite) from a checkpoint.
void sample_suite(RunContext& context, const store::Iteration& iteration, const std::string& suite,
                  const std::string& prompt_use, std::int64_t prompt_iteration,
                  std::int64_t checkpoint_id, std::int64_t samples_per_prompt,
                  const SamplingOptions& sampling, double guide_scale = 0.0);

/// Samples responses to prompts of which the model is shown another form.
/// @param prompts  that the responses belong to, which also address the random numbers
/// @param shown    what the model sees, one a prompt
/// @param guide_scale  weights of the run's guides are times this; 0: sampled without them
void sample_prompts(RunContext& context, const store::Iteration& iteration,
                    const std::string& suite, std::span<const store::PromptRow> prompts,
                    std::span<const store::PromptRow> shown, std::int64_t checkpoint_id,
                    std::int64_t samples_per_prompt, const SamplingOptions& sampling,
                    double guide_scale = 0.0);

void run_rollout_phase(RunContext& context, const store::Iteration& iteration);
/// Scores the responses of an iteration that a module has not scored, of all suites.
void score_missing(RunContext& context, const RunContext::Module& module,
                   const store::Iteration& iteration);
/// The same by all modules.
void run_score_phase(RunContext& context, const store::Iteration& iteration);
/// Tries failed scores of an iteration that is past its score phase once more. @return scores that
/// are there now
std::int64_t retry_failed_scores(RunContext& context, const store::Iteration& iteration);
void run_pair_phase(RunContext& context, const store::Iteration& iteration);
/// Reference log-probs of the pairs' responses, once for each (sample, checkpoint), and the key
/// spans and token rewards that the loss reads.
void run_annotate_phase(RunContext& context, const store::Iteration& iteration);
void run_train_phase(RunContext& context, store::Iteration& iteration);
/// Samples and scores the held-out prompts with the iteration's resulting policy and stores the
/// comparison with the initial one.
void run_eval_phase(RunContext& context, const store::Iteration& iteration);

/// Names in the order of the loop, "rollout" to "eval".
const std::vector<std::string>& phase_names();

/// Sampling options as JSON, as they are stored with an iteration.
std::string sampling_json(const RunConfig& config);

}  // namespace plumb
