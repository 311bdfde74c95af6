// Single terms and metrics worked by hand: what no golden file holds. Sums of fixture_sums(): mean
// log-probs -2.5, -3, -2 of the chosen and -2, -3.125, -2 of the rejected responses.
#include <cmath>

#include "golden_batches.hpp"
#include "losses/dpo.hpp"
#include "losses/elr.hpp"
#include "losses/genarm.hpp"
#include "losses/orpo.hpp"
#include "losses/rpo.hpp"
#include "losses/rrpo.hpp"
#include "losses/sft.hpp"
#include "losses/simpo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;

namespace {

PreferenceBatch sums_with_label(double label) {
  PreferenceBatch batch = fixture_sums();
  batch.label = vector({label, label, label});
  return batch;
}

PreferenceBatch sums_with_prompts() {
  PreferenceBatch batch = fixture_sums();
  batch.prompt_nll = vector({0, 0, 0});
  batch.prompt_lengths = {1, 1, 1};
  return batch;
}

}  // namespace

TEST_CASE("dpo: DPO-Shift scales the rejected log-ratio of ipo_sum too", "[losses][dpo]") {
  const DpoLoss loss({.loss_type = {"ipo_sum"}, .dpo_lambda = .75});
  CHECK(difference(evaluate(loss, fixture_sums()).pair_loss, {17.015625, 60.0625, 25}) == "");
}

TEST_CASE("orpo: the margin is beta times the difference of mean log-probs", "[losses][orpo]") {
  const OrpoLoss loss({.beta = .1});
  CHECK(difference(evaluate(loss, sums_with_prompts()).margin, {-.05, .0125, 0}) == "");
}

TEST_CASE("orpo: a response of probability 1 has finite odds", "[losses][orpo]") {
  PreferenceBatch batch = batch_of_sums({{0}, {0}, {1}}, {{-1}, {0}, {1}});
  batch.prompt_nll = vector({0});
  batch.prompt_lengths = {1};
  const Evaluation got = evaluate(OrpoLoss({.beta = .1}), batch);
  // 1 - (log 1e-12 - log(1 - e^-1))
  CHECK(got.metrics.at("log_odds_chosen") == Approx(28.172346).margin(1e-4));
  CHECK(std::isfinite(got.loss));
  CHECK(std::isfinite(sum_gradients(batch.chosen)[0]));
}

TEST_CASE("hinges mix both directions by a soft label", "[losses][simpo][genarm]") {
  const SimpoLoss simpo({.beta = 1, .simpo_gamma = .2, .loss_type = "hinge"});
  CHECK(difference(evaluate(simpo, sums_with_label(.7)).pair_loss, {1.28, 1.03, 1.08}) == "");
  const GenarmLoss genarm({.beta = .1, .loss_type = "hinge"});
  CHECK(difference(evaluate(genarm, sums_with_label(.7)).pair_loss, {.94, 1.2, 1}) == "");
}

TEST_CASE("label smoothing flips a share of a soft label too", "[losses][simpo]") {
  const SimpoLoss loss({.beta = 1, .simpo_gamma = .2, .label_smoothing = .1});
  Numbers want;
  const double p = .7 * .9 + .3 * .1;
  for (const double z : {-.7, -.075, -.2})
    want.push_back(p * std::log1p(std::exp(-z)) + (1 - p) * std::log1p(std::exp(z)));
  CHECK(difference(evaluate(loss, sums_with_label(.7)).pair_loss, want) == "");
}

TEST_CASE("sft: NLL of the chosen tokens of all pairs, one mean", "[losses][sft]") {
  const PreferenceBatch batch = fixture_sums();
  const Evaluation got = evaluate(SftLoss({}), batch);
  CHECK(difference({got.loss, got.metrics.at("nll_loss")}, {50.5 / 19, 50.5 / 19}) == "");
  CHECK(difference(sum_gradients(batch.chosen), Numbers(3, -1.0 / 19)) == "");
  CHECK(difference(sum_gradients(batch.rejected), {0, 0, 0}) == "");
}

TEST_CASE("rpo: NLL a chosen token, and the share of pairs with a gold answer", "[losses][rpo]") {
  const RpoLoss loss({.eta = .1, .reduction = "token_mean", .baseline = "gold"});
  const PreferenceBatch batch = random_batch(4, 8);  // the first pair has no gold answer
  const auto metrics = evaluate(loss, batch).metrics;
  const Numbers logps = numbers(batch.chosen.logps), gold = numbers(batch.baseline.logps);
  CHECK(difference({metrics.at("rpo/nll_tokmean"), metrics.at("rpo/gold_nll_tokmean")},
                   {-mean(logps), -mean(gold)}) == "");
  CHECK(metrics.at("rpo/gold_share") == .75);
}

TEST_CASE("genarm: length normalisation takes the mean log-prob", "[losses][genarm]") {
  const GenarmLoss loss({.beta = .1, .length_normalization = true});
  CHECK(difference(evaluate(loss, fixture_sums()).margin, {-.05, .0125, 0}) == "");
}

TEST_CASE("rrpo: KL a chosen token; a phrase on one side is no empty diff", "[losses][rrpo]") {
  const auto metrics_of = [](const Numbers& rejected_mask) {
    HeadFixture fixture = fixture_head();
    fixture.batch.chosen.span_mask = vector({0, 0, 0, 0}).gt(.5);
    fixture.batch.rejected.span_mask = vector(rejected_mask).gt(.5);
    return evaluate(RrpoLoss({.alpha = .05}), fixture.batch).metrics;
  };
  const auto metrics = metrics_of({0, 1, 0});
  CHECK(metrics.at("rrpo/tkl_per_token") == Approx(.06833587 / 4).margin(1e-8));
  CHECK(metrics.at("rrpo/empty_diff") == 0.0);
  CHECK(metrics_of({0, 0, 0}).at("rrpo/empty_diff") == 1.0);
}

TEST_CASE("elr: probabilities are held within 1e-4 and 1 - 1e-4; suspects are counted",
          "[losses][elr]") {
  const auto elr = [](double z, const Numbers& history) {
    PreferenceBatch batch = batch_of_sums({{z}, {0}, {1}}, {{0}, {0}, {1}});
    batch.history = vector(history).reshape({1, 3});
    return evaluate(ElrModifier(std::make_unique<DpoLoss>(DpoOptions{.beta = 1}), {}), batch);
  };
  // Target .7 + .3 * .9999; 1 - (.99997 * .9999 + .00003 * .0001) = .00013.
  const Evaluation certain = elr(500, {1, 0, 50});
  CHECK(certain.loss == Approx(-8.948).margin(1e-3));
  CHECK(certain.metrics.at("elr/suspect") == 0.0);
  CHECK(elr(-.5, {.2, .8, 4}).metrics.at("elr/suspect") == 1.0);
}
