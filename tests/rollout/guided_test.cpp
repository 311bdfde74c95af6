#include "rollout/guided.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/softmax.h>

#include <cmath>
#include <numeric>

#include "rollout/engine.hpp"
#include "rollout/fake_tokenizer.hpp"
#include "support/files.hpp"
#include "support/tiny_model.hpp"

#include "support/catch.hpp"

using namespace plumb;
using kernels::Precision;

namespace {

at::Tensor row(const std::vector<float>& values) {
  return at::from_blob(const_cast<float*>(values.data()),
                       {1, static_cast<std::int64_t>(values.size())})
      .clone();
}

std::vector<float> probabilities(const at::Tensor& logits) {
  const at::Tensor p = at::softmax(logits, 1).contiguous();
  return {p.const_data_ptr<float>(), p.const_data_ptr<float>() + p.numel()};
}

/// Logits after `ids`, by the full forward. @return [1, V]
at::Tensor full_logits(const Decoder& model, const std::vector<std::int32_t>& ids) {
  RaggedBuilder builder;
  builder.add(ids);
  const at::Tensor hidden = model.hidden(builder.batch());
  return model.logits(hidden.narrow(0, hidden.size(0) - 1, 1));
}

std::vector<std::int32_t> joined(std::vector<std::int32_t> a, const std::vector<std::int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

TEST_CASE("guided logits of worked examples", "[unit][guided]") {
  // B = [2, 1, 0, -1], A = [0, 1.5, 0.5, -2], A2 = [-1, 0, 2, 0.5]; softmax worked out by hand.
  const at::Tensor base = row({2, 1, 0, -1});
  const std::vector<at::Tensor> one{row({0, 1.5, 0.5, -2})}, two{one[0], row({-1, 0, 2, 0.5})};
  const auto check = [&](std::span<const at::Tensor> guides, std::vector<double> alphas,
                         bool normalize, const std::vector<double>& expected) {
    const auto p = probabilities(combine_logits(base, guides, alphas, normalize));
    for (std::size_t i = 0; i < expected.size(); ++i)
      CHECK(static_cast<double>(p[i]) == Approx(expected[i]).margin(2e-7));
  };
  check(one, {0.0}, false, {0.64391426, 0.23688282, 0.08714432, 0.03205860});
  check(one, {0.5}, false, {0.50738489, 0.39515175, 0.08817027, 0.00929308});
  check(one, {1.0}, false, {0.34739237, 0.57275320, 0.07751372, 0.00234071});
  check(one, {2.0}, false, {0.11418331, 0.84370688, 0.04200569, 0.00010412});
  check(one, {1.0}, true, {0.35230161, 0.45236422, 0.16641550, 0.02891868});
  check(two, {0.5, 0.25}, false, {0.41761874, 0.41761874, 0.15363335, 0.01112916});
  // More ids than the base has are cut away.
  const std::vector<at::Tensor> wide{row({0, 1.5, 0.5, -2, 3})};
  check(wide, {1.0}, false, {0.34739237, 0.57275320, 0.07751372, 0.00234071});

  const std::vector<at::Tensor> narrow{row({0, 1.5, 0.5})};
  CHECK_THROWS_AS(combine_logits(base, narrow, std::vector{1.0}, false), UsageError);
  CHECK_THROWS_AS(combine_logits(base, one, std::vector{-1.0}, true), UsageError);
  CHECK_NOTHROW(combine_logits(base, one, std::vector{-1.0}, false));
}

TEST_CASE("combined scores equal those of the official code", "[golden][guided]") {
  const auto golden = test::golden("genarm.json");
  for (const auto& item : golden.at("guided")) {
    const std::vector<double> alphas = item.at("alphas");
    std::vector<at::Tensor> guides;
    for (const auto& arm : item.at("arm_logits"))
      guides.push_back(row(arm.get<std::vector<float>>()));
    const std::vector<double> base = item.at("base_logprobs");
    const auto vocab = static_cast<std::int64_t>(base.size());
    const auto check_logprobs = [&](const at::Tensor& logits, const std::vector<double>& theirs) {
      const at::Tensor ours = at::log_softmax(logits.narrow(1, 0, vocab), 1).contiguous();
      for (std::size_t i = 0; i < theirs.size(); ++i) {
        CHECK(static_cast<double>(ours.const_data_ptr<float>()[i]) ==
              Approx(theirs[i]).margin(1e-5));
      }
    };
    check_logprobs(row(item.at("base_logits")), base);
    for (std::size_t a = 0; a < guides.size(); ++a)
      check_logprobs(guides[a], item.at("arm_logprobs")[a]);
    // What the authors pass on is the temperature over the sum of the weights of all models.
    const double weights = std::accumulate(alphas.begin(), alphas.end(), 1.0);
    for (const auto& result : item.at("results")) {
      if (result.at("effective_temperature").is_null()) continue;  // a plain run without their rule
      CHECK(result.at("passed_temperature").get<double>() * weights ==
            Approx(result.at("effective_temperature").get<double>()));
    }
    const at::Tensor combined = combine_logits(row(item.at("base_logits")), guides, alphas, true);
    const at::Tensor logprobs = at::log_softmax(combined, 1).contiguous();
    const std::vector<double> expected = item.at("combined");
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(static_cast<double>(logprobs.const_data_ptr<float>()[i]) ==
            Approx(expected[i]).margin(1e-5));
    }
  }
}

TEST_CASE("guided responses: both log-probs, own prompts, shared continuation", "[unit][guided]") {
  const ModelConfig config = test::tiny_config();
  ModelConfig larger = config;
  larger.vocab_size = 310;
  const Decoder base(config, test::random_weights(config, 1), Precision::kFloat32, false);
  const Decoder guide(larger, test::random_weights(larger, 2), Precision::kFloat32, false);
  const test::PieceTokenizer tokenizer({"x"});
  std::vector<RolloutRequest> all(3);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].prompt_ids = test::random_ids(config, 4 + i, i);
    all[i].guide_prompts = {test::random_ids(larger, 9 - i, 50 + i)};
    all[i].samples = 3;
    all[i].stream = i;
  }
  SamplingOptions sampling;
  sampling.max_new_tokens = 15;
  for (const std::int64_t rows : {2, 64}) {
    RolloutEngine engine(std::make_unique<GuidedModel>(base, std::vector<Guide>{{&guide, 0.7}}),
                         tokenizer, {rows});
    std::size_t done = 0;
    engine.generate(all, sampling, {}, 3, 0, [&](RolloutResponse&& response) {
      ++done;
      const RolloutRequest& request = all[response.request];
      std::vector<std::int32_t> so_far;
      for (std::size_t t = 0; t < response.ids.size(); ++t) {
        const at::Tensor plain = full_logits(base, joined(request.prompt_ids, so_far));
        const at::Tensor steered =
            plain +
            full_logits(guide, joined(request.guide_prompts[0], so_far)).narrow(1, 0, 300) * 0.7;
        const std::int64_t id = response.ids[t];
        CHECK(at::log_softmax(plain, 1)[0][id].item<double>() ==
              Approx(response.logp_policy[t]).margin(1e-4));
        CHECK(at::log_softmax(steered, 1)[0][id].item<double>() ==
              Approx(response.logp_sampling[t]).margin(1e-4));
        so_far.push_back(response.ids[t]);
      }
    });
    CHECK(done == 9);
  }

  // Without own prompts the guide reads the request's; the wrong number of them is refused.
  all[0].guide_prompts.clear();
  all[1].guide_prompts.push_back({1});
  RolloutEngine engine(std::make_unique<GuidedModel>(base, std::vector<Guide>{{&guide, 0.7}}),
                       tokenizer, {2});
  CHECK_THROWS_WITH(engine.generate(all, sampling, {}, 3, 0, [](auto&&) {}),
                    Catch::Contains("request 1: 2 guide prompts for 1 guides"));
  all[1].guide_prompts.pop_back();
  all[2].guide_prompts[0] = {309, 310};
  CHECK_THROWS_WITH(engine.generate(all, sampling, {}, 3, 0, [](auto&&) {}),
                    Catch::Contains("request 2, guide 0: token id 310"));
  all[2].guide_prompts[0] = {309};
  std::size_t done = 0;
  engine.generate(all, sampling, {}, 3, 0, [&](auto&&) { ++done; });
  CHECK(done == 9);
}

TEST_CASE("guides with another vocabulary are refused", "[unit][guided]") {
  ModelConfig config = test::tiny_config();
  const Decoder base(config, test::random_weights(config), Precision::kFloat32, false);
  config.vocab_size = 299;
  const Decoder smaller(config, test::random_weights(config), Precision::kFloat32, false);
  CHECK_THROWS_WITH(GuidedModel(base, {{&smaller, 1.0}}), Catch::Contains("vocabulary of 299"));

  const test::PieceTokenizer a({"x", "y", "z"}), b({"x", "y", "w"}), longer({"x", "y", "z", "q"}),
      shorter({"x", "y"});
  CHECK_NOTHROW(check_same_vocabulary(a, longer, "g"));
  CHECK_THROWS_WITH(check_same_vocabulary(a, b, "the guide"),
                    Catch::Contains("token 2 is \"z\"") && Catch::Contains("the guide"));
  CHECK_THROWS_WITH(check_same_vocabulary(a, shorter, "the guide"), Catch::Contains("token 2"));
}
