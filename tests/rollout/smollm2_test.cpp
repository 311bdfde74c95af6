#include <ATen/core/grad_mode.h>

#include <cmath>

#include "model/checkpoint.hpp"
#include "rollout/engine.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

const Checkpoint& smollm2() {
  static const Checkpoint checkpoint =
      load_checkpoint(test::model_path("smollm2-135m-instruct").string());
  return checkpoint;
}

RolloutResponse greedy(const Decoder& model, const std::vector<std::int32_t>& prompt) {
  RolloutRequest request;
  request.prompt_ids = prompt;
  SamplingOptions sampling;
  sampling.temperature = 0.0;
  sampling.max_new_tokens = 32;
  RolloutResponse result;
  RolloutEngine engine(model, *smollm2().tokenizer, {});
  engine.generate({&request, 1}, sampling, smollm2().config.eos, 1, 0,
                  [&](RolloutResponse&& response) { result = std::move(response); });
  return result;
}

/// Mean and largest difference of the sampler's log-probs from the training forward's, in nats.
std::pair<double, double> gap(const Decoder& model, const std::vector<std::int32_t>& prompt,
                              const RolloutResponse& response) {
  const at::NoGradGuard no_grad;
  RaggedBuilder builder;
  builder.want_logprobs(builder.add(response.ids, builder.add(prompt)));
  const at::Tensor logps = model.token_stats(builder.batch(), builder.rows()).logprobs.contiguous();
  double sum = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < response.ids.size(); ++i) {
    const double one = std::abs(logps.const_data_ptr<float>()[i] - response.logp_policy[i]);
    sum += one;
    largest = std::max(largest, one);
  }
  return {sum / static_cast<double>(response.ids.size()), largest};
}

// Continuations by transformers 5.23.0, tests/golden/smollm2_forward.json; equal up to the first
// step whose two best logits lie within 1e-3 (tests/golden/README.md).
TEST_CASE("SmolLM2 greedy text equals transformers in float32", "[model][golden]") {
  if (!std::filesystem::exists(test::model_path("smollm2-135m-instruct"))) {
    WARN("models/smollm2-135m-instruct is not there (scripts/setup fetches it): skipped");
    return;
  }
  const Decoder model(smollm2().config, smollm2().weights, kernels::Precision::kFloat32, false);
  const auto golden = test::golden("smollm2_forward.json");
  for (const auto& expected : golden.at("greedy")) {
    const std::vector<std::int32_t> prompt = expected.at("prompt_ids");
    const std::vector<std::int32_t> ids = expected.at("continuation_ids");
    const RolloutResponse response = greedy(model, prompt);
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (test::number(expected.at("top1_minus_top2")[t]) < 1e-3) break;
      INFO(expected.at("prompt") << ", token " << t);
      REQUIRE(t < response.ids.size());
      CHECK(response.ids[t] == ids[t]);
    }
    CHECK(gap(model, prompt, response).second < 1e-4);
  }
}

TEST_CASE("SmolLM2 sampler log-probs equal the training forward in bfloat16", "[model]") {
  if (!std::filesystem::exists(test::model_path("smollm2-135m-instruct"))) {
    WARN("models/smollm2-135m-instruct is not there (scripts/setup fetches it): skipped");
    return;
  }
  const Decoder model(smollm2().config, smollm2().weights, kernels::Precision::kBFloat16, false);
  const auto golden = test::golden("smollm2_forward.json");
  for (const auto& item : golden.at("greedy")) {
    for (const std::size_t cut : {0, 1}) {  // prompts of even and odd length
      std::vector<std::int32_t> prompt = item.at("prompt_ids");
      prompt.resize(prompt.size() - cut);
      CHECK(gap(model, prompt, greedy(model, prompt)).second < 1e-4);
    }
  }
}

}  // namespace
}  // namespace plumb
