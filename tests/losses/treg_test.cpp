// T-REG against treg.json (closed form, see its header) and its identities.
#include "losses/treg.hpp"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "batches.hpp"
#include "losses/dpo.hpp"
#include "losses/rpo.hpp"
#include "losses/rrpo.hpp"
#include "losses/simpo.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;
using nlohmann::json;

namespace {

ResponseSide side_of(const json& pairs, const std::string& name) {
  ResponseSide side;
  side.offsets = {0};
  Numbers policy, reference, rewards;
  for (const json& pair : pairs) {
    const Numbers better = flat(pair[name + "_better"]), worse = flat(pair[name + "_worse"]);
    for (const double value : flat(pair[name + "_logps"])) policy.push_back(value);
    for (const double value : flat(pair[name + "_ref_logps"])) reference.push_back(value);
    for (std::size_t i = 0; i < better.size(); ++i) {
      rewards.push_back(1.0 / (1.0 + std::exp(worse[i] - better[i])) - 0.5);
    }
    side.offsets.push_back(static_cast<std::int64_t>(policy.size()));
  }
  side.logps = vector(policy).requires_grad_(true);
  side.ref_logps = vector(reference);
  side.token_rewards = vector(rewards);
  return side;
}

PreferenceBatch batch_of(const json& pairs) {
  PreferenceBatch batch;
  batch.chosen = side_of(pairs, "chosen");
  batch.rejected = side_of(pairs, "rejected");
  return batch;
}

std::unique_ptr<PairwiseLoss> base_loss(const std::string& base, const json& config) {
  if (base == "simpo")
    return std::make_unique<SimpoLoss>(
        SimpoOptions{.beta = config["beta"], .simpo_gamma = config["gamma"]});
  return std::make_unique<DpoLoss>(DpoOptions{.beta = config["beta"]});
}

double mean(const json& pairs, const char* first, const char* second = nullptr) {
  double sum = 0.0;
  for (const json& pair : pairs)
    sum += number(pair[first]) * (second != nullptr ? number(pair[second]) : 1.0);
  return sum / static_cast<double>(pairs.size());
}

TregModifier over(std::unique_ptr<PairwiseLoss> base, TregOptions options) {
  return {std::move(base), options};
}

}  // namespace

TEST_CASE("treg: closed form on dpo and simpo", "[golden][losses][treg]") {
  const json file = golden("treg.json");
  for (const json& c : file["cases"]) {
    for (const json& pair : c["pairs"]) {
      CHECK(difference(numbers(batch_of(json::array({pair})).chosen.token_rewards),
                       flat(pair["chosen_token_reward"])) == "");
      CHECK(difference(numbers(batch_of(json::array({pair})).rejected.token_rewards),
                       flat(pair["rejected_token_reward"])) == "");
    }
    for (const json& r : c["results"]) {
      const std::string base = r["base"];
      INFO(c["name"] << " " << base << " " << r["config"]);
      CHECK((base == "dpo" || base == "simpo" || base == "dpo_weight_not_detached"));
      const TregOptions options{.alpha = r["config"]["alpha"],
                                .detach_weight = base != "dpo_weight_not_detached"};
      const TregModifier loss = over(base_loss(base, r["config"]), options);
      const PreferenceBatch batch = batch_of(c["pairs"]);
      const Evaluation got = evaluate(loss, batch);
      CHECK(difference({got.loss}, {number(r["loss"])}) == "");
      Numbers pair_losses, chosen, rejected, margin;
      const auto pairs = static_cast<double>(r["pairs"].size());
      for (const json& pair : r["pairs"]) {
        pair_losses.push_back(number(pair["loss"]));
        margin.push_back(number(pair["z"]) + r["config"].value("gamma", 0.0));
        for (const double value : flat(pair["grad_chosen"])) chosen.push_back(value / pairs);
        for (const double value : flat(pair["grad_rejected"])) rejected.push_back(value / pairs);
      }
      CHECK(difference(got.pair_loss, pair_losses) == "");
      CHECK(difference(got.margin, margin, {1e-10, 1e-11}) == "");
      CHECK(difference(numbers(batch.chosen.logps.grad()), chosen) == "");
      CHECK(difference(numbers(batch.rejected.logps.grad()), rejected) == "");
      CHECK(difference({got.metrics.at("treg/weight")}, {mean(r["pairs"], "weight")}) == "");
      CHECK(difference({got.metrics.at("treg/reg_chosen")},
                       {mean(r["pairs"], "reg_chosen", "weight")}) == "");
      CHECK(difference({got.metrics.at("treg/reg_rejected")},
                       {mean(r["pairs"], "reg_rejected", "weight")}) == "");
      const double plain = evaluate(*base_loss(base, r["config"]), batch_of(c["pairs"])).loss;
      CHECK(difference({plain}, {mean(r["pairs"], "preference_loss")}) == "");
    }
  }
}

namespace {

PreferenceBatch head_with_rewards(HeadFixture& fixture) {
  // Contrastive log-probs (-.9,-1.2,-.4,-.7)/(-1.1,-.8,-1.4,-.7) and (-1,-2,-.5)/(-1,-.5,-.9).
  fixture.batch.chosen.token_rewards = vector({.04983400, -.09868766, .23105858, 0});
  fixture.batch.rejected.token_rewards = vector({0, -.31757448, .09868766});
  return fixture.batch;
}

}  // namespace

TEST_CASE("treg: worked numbers of a vocabulary of five", "[losses][treg]") {
  HeadFixture fixture = fixture_head();
  const Evaluation got = evaluate(over(std::make_unique<DpoLoss>(DpoOptions{}), {.alpha = .5}),
                                  head_with_rewards(fixture));
  CHECK(difference({got.loss}, {.73102823}, {0, 1e-8}) == "");
  CHECK(difference({got.metrics.at("treg/weight")}, {.51251597}, {0, 1e-8}) == "");
  CHECK(difference({got.metrics.at("treg/reg_chosen"), got.metrics.at("treg/reg_rejected")},
                   {.51251597 * .08651176, .51251597 * -.03761382}, {0, 1e-8}) == "");
  CHECK(difference({fixture.head.grad().norm().item<double>()}, {.1134712}, {0, 1e-7}) == "");
  CHECK(got.metrics.at("treg/rhat_pos_frac") == Approx(3.0 / 7.0));
  // beta times the sum over all tokens of log-ratio and token reward: .1 * (-.13707741 -
  // .05153763).
  CHECK(difference({got.metrics.at("treg/agreement")}, {-.01886150 / 7}, {0, 1e-8}) == "");
  const Numbers head = numbers(fixture.head.grad());
  CHECK(difference({head.begin(), head.begin() + 3}, {.01839209, -.07016903, -.02332431},
                   {0, 1e-8}) == "");

  HeadFixture through = fixture_head();
  const TregModifier not_detached =
      over(std::make_unique<DpoLoss>(DpoOptions{}), {.alpha = .5, .detach_weight = false});
  CHECK(difference({evaluate(not_detached, head_with_rewards(through)).loss}, {.73102823},
                   {0, 1e-8}) == "");
  CHECK(difference({through.head.grad().norm().item<double>()}, {.1147049}, {0, 1e-7}) == "");

  HeadFixture simpo = fixture_head();
  const TregModifier over_simpo = over(std::make_unique<SimpoLoss>(SimpoOptions{}), {.alpha = .5});
  CHECK(difference({evaluate(over_simpo, head_with_rewards(simpo)).loss}, {1.39161483},
                   {0, 1e-8}) == "");
}

TEST_CASE("treg: multiplies each token's gradient by 1 + alpha r, or 1 - alpha r",
          "[losses][treg]") {
  const double alpha = GENERATE(0.0, 0.25, 0.5);
  const auto bases = [](int i) -> std::unique_ptr<PairwiseLoss> {
    if (i == 0) return std::make_unique<DpoLoss>(DpoOptions{});
    if (i == 1) return std::make_unique<DpoLoss>(DpoOptions{.loss_type = {"ipo"}});
    if (i == 2) return std::make_unique<SimpoLoss>(SimpoOptions{.sft_weight = .3});
    if (i == 3) return std::make_unique<RrpoLoss>(RrpoOptions{});
    return std::make_unique<RpoLoss>(RpoOptions{.eta = .2, .reduction = "token_mean"});
  };
  for (int i = 0; i < 5; ++i) {
    INFO(i << " alpha " << alpha);
    const PreferenceBatch plain = random_batch(4, 8), modified = random_batch(4, 8);
    const double base = evaluate(*bases(i), plain).loss;
    const double value = evaluate(over(bases(i), {.alpha = alpha}), modified).loss;
    CHECK((alpha > 0.0 || value == base));
    for (const double sign : {1.0, -1.0}) {
      const ResponseSide& a = sign > 0 ? plain.chosen : plain.rejected;
      const ResponseSide& b = sign > 0 ? modified.chosen : modified.rejected;
      const at::Tensor want = a.logps.grad().defined()
                                  ? a.logps.grad() * (1.0 + a.token_rewards * (sign * alpha))
                                  : at::Tensor();
      if (want.defined()) CHECK(difference(numbers(b.logps.grad()), numbers(want)) == "");
    }
  }
}

TEST_CASE("treg: evaluation without gradients gives the same value", "[losses][treg]") {
  const TregModifier loss = over(std::make_unique<DpoLoss>(DpoOptions{}), {});
  const double with = mean_loss(loss, random_batch(4, 8)).item<double>();
  const at::NoGradGuard no_grad;
  const at::Tensor without = mean_loss(loss, random_batch(4, 8));
  CHECK(without.item<double>() == with);
  CHECK_FALSE(without.requires_grad());
}
