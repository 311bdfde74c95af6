#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/strings.hpp"
#include "pipeline/degraded_rollout.hpp"
#include "pipeline/filtered_prompts.hpp"
#include "pipeline/guides.hpp"
#include "pipeline/phases.hpp"
#include "pipeline/run_prompts.hpp"
#include "store/samples.hpp"

namespace plumb {
namespace {

std::uint64_t stream_of(const store::PromptRow& prompt) {
  const std::string hash = store::prompt_sha256(prompt);
  std::uint64_t value = 0;
  std::memcpy(&value, hash.data(), sizeof value);
  return value;
}

store::SampleRow to_row(const RunContext& context, const store::Iteration& iteration,
                        const std::string& suite, const store::PromptRow& prompt,
                        std::int64_t checkpoint_id, RolloutResponse&& response) {
  store::SampleRow row;
  row.iteration_id = iteration.id;
  row.prompt_id = prompt.id;
  row.suite = suite;
  row.k = response.sample;
  row.seed = context.run.seed;
  row.finish_reason = response.finish == FinishReason::kStop ? "stop" : "length";
  row.checkpoint_id = checkpoint_id;
  row.text = to_valid_utf8(context.tokenizer().decode(response.ids, true));
  row.ids = std::move(response.ids);
  row.logp_policy = std::move(response.logp_policy);
  row.logp_sampling = std::move(response.logp_sampling);
  return row;
}

}  // namespace

std::string sampling_json(const RunConfig& config) {
  const SamplingOptions& sampling = config.sampling;
  return nlohmann::json{{"samples_per_prompt", config.rollout.samples_per_prompt},
                        {"guides", config.guide.models},
                        {"temperature", sampling.temperature},
                        {"top_k", sampling.top_k},
                        {"top_p", sampling.top_p},
                        {"min_p", sampling.min_p},
                        {"repetition_penalty", sampling.repetition_penalty},
                        {"max_new_tokens", sampling.max_new_tokens},
                        {"min_new_tokens", sampling.min_new_tokens},
                        {"stop", sampling.stop}}
      .dump();
}

void sample_suite(RunContext& context, const store::Iteration& iteration, const std::string& suite,
                  const std::string& prompt_use, std::int64_t prompt_iteration,
                  std::int64_t checkpoint_id, std::int64_t samples_per_prompt,
                  const SamplingOptions& sampling, double guide_scale) {
  std::vector<store::PromptRow> prompts =
      store::run_prompts(context.db, context.run.id, prompt_use, prompt_iteration);
  if (prompt_use == "train") leave_out_resting(context, iteration, prompts);
  sample_prompts(context, iteration, suite, prompts, prompts, checkpoint_id, samples_per_prompt,
                 sampling, guide_scale);
}

void sample_prompts(RunContext& context, const store::Iteration& iteration,
                    const std::string& suite, std::span<const store::PromptRow> prompts,
                    std::span<const store::PromptRow> shown, std::int64_t checkpoint_id,
                    std::int64_t samples_per_prompt, const SamplingOptions& sampling,
                    double guide_scale) {
  expects(prompts.size() == shown.size(), "what the model is shown for every prompt");
  std::map<std::int64_t, std::int64_t> stored;
  for (const auto& [prompt_id, count] : store::sample_counts(context.db, iteration.id, suite))
    stored[prompt_id] = count;
  const auto complete = [&](const store::PromptRow& prompt) {
    return stored[prompt.id] >= samples_per_prompt;
  };
  if (std::all_of(prompts.begin(), prompts.end(), complete)) return;

  const Decoder& policy = context.frozen(checkpoint_id);
  const Guides* guides = guide_scale != 0.0 ? context.guides() : nullptr;
  RolloutEngine engine = guides != nullptr
                             ? RolloutEngine(guides->steer(policy, guide_scale),
                                             context.tokenizer(), context.config.engine)
                             : RolloutEngine(policy, context.tokenizer(), context.config.engine);
  Progress progress(cat("sample ", suite),
                    static_cast<std::int64_t>(prompts.size()) * samples_per_prompt, "responses");
  RolloutStats total;
  const auto unit = static_cast<std::size_t>(context.config.rollout.unit_prompts);
  std::int64_t done = 0;
  for (std::size_t begin = 0; begin < prompts.size(); begin += unit) {
    const std::size_t end = std::min(prompts.size(), begin + unit);
    const std::span<const store::PromptRow> group(prompts.data() + begin, end - begin);
    done += static_cast<std::int64_t>(group.size()) * samples_per_prompt;
    if (std::all_of(group.begin(), group.end(), complete)) {
      progress.set(done);
      continue;
    }
    std::vector<RolloutRequest> requests;
    for (std::size_t i = begin; i < end; ++i) {
      RolloutRequest request;
      request.prompt_ids = shown[i].ids;
      if (guides != nullptr) request.guide_prompts = guides->prompts(messages_of(shown[i]));
      request.samples = samples_per_prompt;
      request.stream = stream_of(prompts[i]);
      requests.push_back(std::move(request));
    }
    std::vector<RolloutResponse> responses;
    const std::int64_t before = done - static_cast<std::int64_t>(group.size()) * samples_per_prompt;
    const RolloutStats stats = engine.generate(
        requests, sampling, context.end_ids(), static_cast<std::uint64_t>(context.run.seed),
        static_cast<std::uint64_t>(iteration.index), [&](RolloutResponse&& response) {
          responses.push_back(std::move(response));
          progress.set(before + static_cast<std::int64_t>(responses.size()));
        });
    total.generated_tokens += stats.generated_tokens;
    total.prefill_seconds += stats.prefill_seconds;
    total.decode_seconds += stats.decode_seconds;
    std::sort(responses.begin(), responses.end(), [](const auto& a, const auto& b) {
      return a.request != b.request ? a.request < b.request : a.sample < b.sample;
    });
    store::Transaction transaction(context.db);
    for (RolloutResponse& response : responses) {
      const store::PromptRow& prompt = group[response.request];
      store::add_sample(context.db, to_row(context, iteration, suite, prompt, checkpoint_id,
                                           std::move(response)));
    }
    transaction.commit();
    const double seconds = total.prefill_seconds + total.decode_seconds;
    if (seconds > 0.0)
      progress.note(
          cat(static_cast<std::int64_t>(static_cast<double>(total.generated_tokens) / seconds),
              " tokens/s"));
  }
  context.db.checkpoint();
}

void run_rollout_phase(RunContext& context, const store::Iteration& iteration) {
  expects(iteration.policy_checkpoint_id.has_value(), "an iteration with a policy");
  if (context.config.imports_pairs()) {
    log::info("rollout: nothing to sample, the pairs are imported");
    return;
  }
  sample_suite(context, iteration, "train", "train", iteration.index,
               *iteration.policy_checkpoint_id, context.config.rollout.samples_per_prompt,
               context.config.sampling, 1.0);
  if (context.config.pair.rule == kDegraded) sample_degraded(context, iteration);
}

}  // namespace plumb
