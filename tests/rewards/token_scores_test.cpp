#include "rewards/token_scores.hpp"

#include <ATen/ops/tensor.h>

#include <cmath>

#include "rewards/token_logprobs.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

at::Tensor row(std::initializer_list<float> values) { return at::tensor(values).unsqueeze(0); }

/// Logits of the guided-decoding checks.
at::Tensor base_logits() { return row({2, 1, 0, -1}); }
at::Tensor arm_logits() { return row({0, 1.5F, 0.5F, -2}); }

}  // namespace

TEST_CASE("token sums and differences", "[rewards][genarm][unit]") {
  const std::vector<float> arm{-0.7F, -1.2F, -0.1F}, base{-1.0F, -1.1F, -0.6F};
  CHECK_THAT(sum_of(arm), WithinAbs(-2.0, 1e-6));
  const auto contrast = difference(arm, base);
  const std::vector<double> expected{0.3, -0.1, 0.5};
  for (std::size_t i = 0; i < 3; ++i) CHECK_THAT(contrast[i], WithinAbs(expected[i], 1e-6));
  CHECK_THAT(sum_of(contrast), WithinAbs(0.7, 1e-6));
  CHECK(sum_of({}) == 0);
}

TEST_CASE("log-softmax is taken after the vocabulary is cut", "[rewards][genarm][unit]") {
  const at::Tensor longer = row({0, 1.5F, 0.5F, -2, 3});
  const at::Tensor cut = cut_log_softmax(longer, 4), whole = cut_log_softmax(longer, 5);
  const std::vector<double> expected{-1.98317092, -0.48317092, -1.48317092, -3.98317092};
  for (int v = 0; v < 4; ++v) CHECK_THAT(cut[0][v].item<double>(), WithinAbs(expected[v], 1e-6));
  CHECK_THAT(whole[0][0].item<double>(), WithinAbs(-3.30876342, 1e-6));
}

TEST_CASE("advantage of a token has mean zero under the base model", "[rewards][genarm][unit]") {
  const at::Tensor base = cut_log_softmax(base_logits(), 4), arm = cut_log_softmax(arm_logits(), 4);
  const double baseline = expected_rows(base, arm)[0].item<double>();
  CHECK_THAT(baseline, WithinAbs(-1.64839174, 1e-6));
  const std::vector<double> advantage{-0.33477918, 1.16522082, 0.16522082, -2.33477918};
  double mean = 0;
  for (int v = 0; v < 4; ++v) {
    CHECK_THAT(arm[0][v].item<double>() - baseline, WithinAbs(advantage[v], 1e-6));
    mean += std::exp(base[0][v].item<double>()) * advantage[v];
  }
  CHECK_THAT(mean, WithinAbs(0.0, 1e-6));
}

TEST_CASE("contrastive token rewards agree with the closed form", "[rewards][treg][golden]") {
  const auto golden = test::golden("treg.json");
  for (const auto& group : golden["cases"]) {
    for (const auto& pair : group["pairs"]) {
      for (const std::string side : {"chosen", "rejected"}) {
        const auto &better = pair[side + "_better"], &worse = pair[side + "_worse"];
        const auto& expected = pair[side + "_token_reward"];
        for (std::size_t i = 0; i < expected.size(); ++i) {
          const double reward = contrastive_reward(test::number(better[i]), test::number(worse[i]));
          CHECK_THAT(reward, WithinRel(test::number(expected[i]), 1e-10) ||
                                 WithinAbs(test::number(expected[i]), 1e-12));
        }
      }
    }
  }
}

TEST_CASE("contrastive token rewards are bounded and antisymmetric", "[rewards][treg][unit]") {
  CHECK_THAT(contrastive_reward(-0.9, -1.1), WithinAbs(0.04983400, 1e-8));
  CHECK(contrastive_reward(-1, -1) == 0);
  CHECK(contrastive_reward(0, -1e6) == 0.5);
  CHECK(contrastive_reward(-1e6, 0) == -0.5);
  CHECK(contrastive_reward(-0.3, -2) == -contrastive_reward(-2, -0.3));
}

TEST_CASE("likelihood scores agree with the CREAM code", "[rewards][cream][golden]") {
  const auto golden = test::golden("cream.json");
  for (const auto& batch : golden["loss_tokens"]) {
    const auto pad = batch["pad_id"].get<int>();
    for (std::size_t i = 0; i < batch["labels"].size(); ++i) {
      std::vector<float> logps;
      const auto& labels = batch["labels"][i];
      for (std::size_t t = 0; t + 1 < labels.size(); ++t) {
        const int token = labels[t + 1].get<int>();
        if (token == pad) continue;
        const auto logits = batch["logits"][i][t].get<std::vector<float>>();
        logps.push_back(
            cut_log_softmax(at::tensor(logits).unsqueeze(0), 11)[0][token].item<float>());
      }
      CHECK_THAT(sum_of(logps), WithinRel(test::number(batch["score_sum"][i]), 1e-5));
      CHECK_THAT(sum_of(logps) / static_cast<double>(logps.size()),
                 WithinRel(test::number(batch["score_mean"][i]), 1e-5));
    }
  }
}
