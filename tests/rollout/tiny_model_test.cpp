#include "support/tiny_model.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "rollout/engine.hpp"
#include "rollout/fake_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using kernels::Precision;

namespace {

using Responses = std::map<std::pair<std::uint64_t, std::int64_t>, RolloutResponse>;

const test::PieceTokenizer kTokenizer({"x"});

std::vector<RolloutRequest> requests(const ModelConfig& config, std::int64_t samples) {
  std::vector<RolloutRequest> all;
  for (std::size_t i = 0; i < 7; ++i) {
    RolloutRequest request;
    request.prompt_ids = test::random_ids(config, 1 + 13 * i, i);
    request.samples = samples;
    request.stream = i;
    all.push_back(request);
  }
  return all;
}

Responses generate(const Decoder& model, const std::vector<RolloutRequest>& all,
                   const SamplingOptions& sampling, std::int64_t max_rows) {
  Responses responses;
  RolloutEngine engine(model, kTokenizer, {max_rows});
  const std::vector<std::int32_t> end_ids{2, 77, 200};
  engine.generate(all, sampling, end_ids, 5, 0, [&](RolloutResponse&& response) {
    responses[{all[response.request].stream, response.sample}] = std::move(response);
  });
  return responses;
}

/// Logits after `ids`, by the full forward.
at::Tensor full_logits(const Decoder& model, const std::vector<std::int32_t>& ids) {
  RaggedBuilder builder;
  builder.add(ids);
  const at::Tensor hidden = model.hidden(builder.batch());
  return model.logits(hidden.narrow(0, hidden.size(0) - 1, 1))[0];
}

}  // namespace

TEST_CASE("greedy sampling equals the argmax of the full forward, step by step", "[unit][engine]") {
  const ModelConfig config = test::tiny_config();
  const Decoder model(config, test::random_weights(config), Precision::kFloat32, false);
  SamplingOptions sampling;
  sampling.temperature = 0;
  sampling.max_new_tokens = 20;
  const auto all = requests(config, 1);
  for (const auto& [key, response] : generate(model, all, sampling, 3)) {
    std::vector<std::int32_t> ids = all[response.request].prompt_ids;
    for (const std::int32_t token : response.ids) {
      CHECK(full_logits(model, ids).argmax().item<std::int64_t>() == token);
      ids.push_back(token);
    }
  }
}

TEST_CASE("sampled log-probs are those of the training forward", "[unit][engine]") {
  const ModelConfig config = test::tiny_config();
  for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16}) {
    const Decoder model(config, test::random_weights(config), precision, false);
    const double bound = model.precision() == Precision::kFloat32 ? 1e-4 : 2e-2;
    SamplingOptions sampling;
    sampling.temperature = 1.2;
    sampling.top_p = 0.9;
    sampling.max_new_tokens = 60;
    const auto all = requests(config, 2);
    for (const auto& [key, response] : generate(model, all, sampling, 5)) {
      const at::NoGradGuard no_gradients;
      RaggedBuilder builder;
      builder.want_logprobs(
          builder.add(response.ids, builder.add(all[response.request].prompt_ids)));
      const at::Tensor logprobs =
          model.token_stats(builder.batch(), builder.rows()).logprobs.contiguous();
      for (std::size_t t = 0; t < response.ids.size(); ++t) {
        CHECK(std::abs(logprobs.const_data_ptr<float>()[t] - response.logp_policy[t]) < bound);
      }
    }
  }
}

TEST_CASE("a model's responses are the same bits for any number of rows and order of requests",
          "[unit][engine]") {
  const ModelConfig config = test::tiny_config();
  for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16}) {
    const Decoder model(config, test::random_weights(config), precision, false);
    SamplingOptions sampling;
    sampling.max_new_tokens = 40;
    sampling.top_k = 50;
    auto all = requests(config, 5);
    const Responses reference = generate(model, all, sampling, 64);
    CHECK(reference.size() == 35);
    const auto check_same = [&](const Responses& other) {
      REQUIRE(other.size() == reference.size());
      for (const auto& [key, response] : reference) {
        CHECK(other.at(key).ids == response.ids);
        CHECK(other.at(key).logp_policy == response.logp_policy);
        CHECK(other.at(key).logp_sampling == response.logp_sampling);
      }
    };
    check_same(generate(model, all, sampling, 1));
    check_same(generate(model, all, sampling, 3));
    std::reverse(all.begin(), all.end());
    check_same(generate(model, all, sampling, 64));
  }
}

TEST_CASE("prompts that do not fit, are empty or hold unknown ids are named", "[unit][engine]") {
  const ModelConfig config = test::tiny_config();  // 256 positions, 300 tokens
  const Decoder model(config, test::random_weights(config), Precision::kFloat32, false);
  SamplingOptions sampling;
  sampling.max_new_tokens = 200;
  const auto error_of = [&](std::vector<std::int32_t> prompt) -> std::string {
    std::vector<RolloutRequest> all(2);
    all[0].prompt_ids = {1};
    all[1].prompt_ids = std::move(prompt);
    try {
      generate(model, all, sampling, 2);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  CHECK_THAT(error_of({}), Catch::Contains("request 1") && Catch::Contains("no token"));
  CHECK_THAT(error_of({5, 300}), Catch::Contains("request 1: token id 300 at position 1"));
  CHECK_THAT(error_of({-1}), Catch::Contains("request 1: token id -1"));
  CHECK_THAT(error_of(test::random_ids(config, 57, 1)),
             Catch::Contains("request 1: 57 prompt tokens and up to 200 new ones") &&
                 Catch::Contains("context of 256"));
  CHECK(error_of(test::random_ids(config, 56, 1)).empty());
}
