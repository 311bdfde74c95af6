#include "model/decoder.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <limits>

#include "core/error.hpp"
#include "support/tiny_model.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using kernels::Precision;
using test::random_ids;
using test::tiny_config;

struct Request {
  RaggedBatch batch;
  TokenRows rows;
};

/// Prompt and responses, the prompt shared or repeated before each response.
Request make_request(const std::vector<std::vector<std::int32_t>>& prompts,
                     const std::vector<std::vector<std::int32_t>>& responses, bool shared) {
  RaggedBuilder builder;
  for (std::size_t i = 0; i < responses.size(); ++i) {
    const auto& prompt = prompts[i];
    const bool same = i > 0 && shared && prompts[i] == prompts[i - 1];
    const std::int64_t prefix = same ? builder.batch().prefix.back() : builder.add(prompt);
    builder.want_logprobs(builder.add(responses[i], prefix));
  }
  return {builder.batch(), builder.rows()};
}

double largest(const at::Tensor& difference) { return difference.abs().max().item<double>(); }

std::vector<ModelConfig> variants() {
  ModelConfig plain = tiny_config(), qwen2 = tiny_config(), qwen3 = tiny_config();
  qwen2.qkv_bias = true;
  qwen2.output_bias = true;
  qwen2.tie_word_embeddings = false;
  qwen3.qk_norm = true;
  qwen3.head_dim = 24;  // wider than hidden_size / heads
  return {plain, qwen2, qwen3};
}

TEST_CASE("packed batches give the log-probs of sequences run one by one", "[unit]") {
  const at::NoGradGuard no_grad;
  for (const ModelConfig& config : variants()) {
    const Decoder model(config, test::random_weights(config), Precision::kFloat32, false);
    const std::vector<std::vector<std::int32_t>> prompts = {
        random_ids(config, 5, 1), random_ids(config, 17, 2), random_ids(config, 1, 3)};
    const std::vector<std::vector<std::int32_t>> responses = {
        random_ids(config, 9, 4), random_ids(config, 1, 5), random_ids(config, 40, 6)};
    const Request together = make_request(prompts, responses, true);
    const at::Tensor packed = model.token_stats(together.batch, together.rows).logprobs;
    std::vector<at::Tensor> alone;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
      const Request one = make_request({prompts[i]}, {responses[i]}, true);
      alone.push_back(model.token_stats(one.batch, one.rows).logprobs);
    }
    CHECK(largest(packed - at::cat(alone)) < 1e-5);
  }
}

TEST_CASE("a shared prompt gives the log-probs of repeated prompts", "[unit]") {
  const at::NoGradGuard no_grad;
  for (const ModelConfig& config : variants()) {
    const Decoder model(config, test::random_weights(config), Precision::kFloat32, false);
    const auto prompt = random_ids(config, 33, 1);
    const std::vector<std::vector<std::int32_t>> responses = {
        random_ids(config, 20, 2), random_ids(config, 7, 3), random_ids(config, 1, 4)};
    const Request shared = make_request({prompt, prompt, prompt}, responses, true);
    const Request repeated = make_request({prompt, prompt, prompt}, responses, false);
    REQUIRE(shared.batch.tokens() == 33 + 28);
    REQUIRE(repeated.batch.tokens() == 3 * 33 + 28);
    const at::Tensor a = model.token_stats(shared.batch, shared.rows).logprobs;
    const at::Tensor b = model.token_stats(repeated.batch, repeated.rows).logprobs;
    CHECK(largest(a - b) < 1e-5);

    // One segment [prompt | response] without prefix: the same rows once more.
    RaggedBuilder builder;
    auto whole = prompt;
    whole.insert(whole.end(), responses[0].begin(), responses[0].end());
    builder.want_logprobs(builder.add(whole));
    const at::Tensor c = model.token_stats(builder.batch(), builder.rows()).logprobs;
    CHECK(largest(c.narrow(0, 32, 20) - a.narrow(0, 0, 20)) < 1e-5);
  }
}

TEST_CASE("statistics of tokens equal those of dense logits", "[unit]") {
  const at::NoGradGuard no_grad;
  const ModelConfig config = tiny_config();
  const Decoder model(config, test::random_weights(config), Precision::kFloat32, false);
  const Request request =
      make_request({random_ids(config, 6, 1)}, {random_ids(config, 11, 2)}, true);
  const at::Tensor hidden = model.hidden(request.batch);
  const TokenStats stats = model.token_stats(
      hidden, request.rows,
      {.entropy = true, .square_logsum = true, .mean_logit = true, .is_top = true});
  const at::Tensor logits = model.logits(hidden.index_select(0, request.rows.rows));
  const at::Tensor logp = logits.to(at::kDouble).log_softmax(1);
  CHECK(largest(stats.logprobs - logp.gather(1, request.rows.targets.unsqueeze(1)).squeeze(1)) <
        1e-5);
  CHECK(largest(stats.entropy + (logp.exp() * logp).sum(1)) < 1e-5);
  CHECK(largest(stats.square_logsum - (2 * logp).logsumexp(1)) < 1e-5);
  CHECK(largest(stats.mean_logit - logits.mean(1)) < 1e-6);
  CHECK(largest(stats.is_top - (logits.argmax(1) == request.rows.targets).to(at::kFloat)) == 0.0);
  CHECK_FALSE(stats.kl.defined());
}

TEST_CASE("bfloat16 log-probs stay close to float32", "[unit]") {
  const at::NoGradGuard no_grad;
  for (const ModelConfig& config : variants()) {
    const TensorMap weights = test::random_weights(config);
    const Decoder full(config, weights, Precision::kFloat32, false);
    const Decoder half(config, weights, Precision::kBFloat16, false);
    const Request request =
        make_request({random_ids(config, 30, 1)}, {random_ids(config, 60, 2)}, true);
    const at::Tensor difference = half.token_stats(request.batch, request.rows).logprobs -
                                  full.token_stats(request.batch, request.rows).logprobs;
    CHECK(largest(difference) < 0.05);
    CHECK(difference.abs().mean().item<double>() < 0.01);
    if (half.precision() == Precision::kBFloat16) {
      CHECK(half.hidden(request.batch).scalar_type() == at::kBFloat16);
      CHECK(largest(difference) > 0.0);
    }
  }
}

TEST_CASE("weights come back by name, whole or rounded to bfloat16", "[unit]") {
  for (const ModelConfig& config : variants()) {
    const TensorMap weights = test::random_weights(config);
    const bool trainable = GENERATE(false, true);
    const Decoder full(config, weights, Precision::kFloat32, trainable);
    const TensorMap back = full.weights();
    REQUIRE(back.size() == weights.size());
    for (const auto& [name, tensor] : weights) {
      CAPTURE(name);
      CHECK(back.at(name).equal(tensor));
    }
    const Decoder half(config, weights, Precision::kBFloat16, false);
    const std::string name = "model.layers.1.mlp.up_proj.weight";
    CHECK(largest(half.weights().at(name) - weights.at(name)) < 0x1p-8 * largest(weights.at(name)));
  }
}

TEST_CASE("wrong checkpoints, ids and lengths are data errors", "[unit]") {
  ModelConfig config = tiny_config();
  TensorMap weights = test::random_weights(config);
  const Decoder model(config, weights, Precision::kFloat32, false);
  RaggedBuilder outside, negative, long_one;
  outside.add(std::vector<std::int32_t>{1, 300});
  negative.add(std::vector<std::int32_t>{-1});
  long_one.add(random_ids(config, 200, 1));
  long_one.add(random_ids(config, 57, 1), 0);
  CHECK_THROWS_AS(model.hidden(outside.batch()), DataError);
  CHECK_THROWS_AS(model.hidden(negative.batch()), DataError);
  CHECK_THROWS_AS(model.hidden(long_one.batch()), DataError);

  config.sliding_window = 16;
  const Decoder windowed(config, weights, Precision::kFloat32, false);
  RaggedBuilder window;
  window.add(random_ids(config, 17, 1));
  CHECK_THROWS_AS(windowed.hidden(window.batch()), DataError);

  weights.erase("model.norm.weight");
  CHECK_THROWS_AS(Decoder(config, weights, Precision::kFloat32, false), DataError);
  weights = test::random_weights(config);
  weights["model.layers.0.self_attn.k_proj.weight"] = test::random_tensor({64, 64}, 1);
  CHECK_THROWS_AS(Decoder(config, weights, Precision::kFloat32, false), DataError);
}

TEST_CASE("weights that are not numbers give log-probs that are not numbers", "[unit]") {
  const at::NoGradGuard no_grad;
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  const ModelConfig config = tiny_config();
  TensorMap weights = test::random_weights(config);
  weights["model.layers.0.mlp.down_proj.weight"].fill_(std::numeric_limits<float>::quiet_NaN());
  const Decoder model(config, weights, precision, false);
  const Request request =
      make_request({random_ids(config, 4, 1)}, {random_ids(config, 3, 2)}, true);
  CHECK(model.token_stats(request.batch, request.rows).logprobs.isnan().all().item<bool>());
}

}  // namespace
}  // namespace plumb
