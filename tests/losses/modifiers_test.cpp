// Early-learning regularisation and loss-based reweighting on worked numbers (double precision, six
// decimals).
#include <cmath>

#include "batches.hpp"
#include "core/error.hpp"
#include "losses/dpo.hpp"
#include "losses/elr.hpp"
#include "losses/kto.hpp"
#include "losses/reweight.hpp"
#include "losses/rpo.hpp"
#include "losses/sft.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;

namespace {

constexpr Tolerance kSixDecimals{0, 1e-6};

std::unique_ptr<PairwiseLoss> dpo() { return std::make_unique<DpoLoss>(DpoOptions{.beta = 1.0}); }

/// One pair with beta D = z.
PreferenceBatch one_pair(double z, const Numbers& history) {
  PreferenceBatch batch = batch_of_sums({{z}, {0}, {1}}, {{0}, {0}, {1}});
  batch.history = vector(history).reshape({1, 3});
  return batch;
}

struct ElrResult {
  double loss, slope;
  Numbers history;
};
ElrResult elr(double z, const Numbers& history, const ElrOptions& options) {
  const PreferenceBatch batch = one_pair(z, history);
  const ElrModifier loss(dpo(), options);
  const Evaluation got = evaluate(loss, batch);
  return {got.loss, sum_gradients(batch.chosen)[0], numbers(loss(batch).history)};
}

}  // namespace

TEST_CASE("elr: worked numbers", "[losses][elr]") {
  const ElrOptions plain{.lambda = 3, .warmup_visits = 0, .bias_correction = false};
  const ElrResult first = elr(.8, {0, 0, 0}, plain);
  CHECK(difference({first.loss, first.slope}, {-.193873, -.398331}, kSixDecimals) == "");
  CHECK(difference(first.history, {.206992, .093008, 1}, kSixDecimals) == "");
  // A wrong label: the running target turns the pull around.
  const ElrResult wrong = elr(-.5, {.2, .8, 4}, plain);
  CHECK(difference({wrong.loss, wrong.slope}, {-1.491803, .169010}, kSixDecimals) == "");
  CHECK(difference(wrong.history, {.253262, .746738, 5}, kSixDecimals) == "");
  const ElrResult mild =
      elr(-.5, {.2, .8, 4}, {.lambda = 1, .warmup_visits = 0, .bias_correction = false});
  CHECK(difference({mild.loss, mild.slope}, {.152117, -.358636}, kSixDecimals) == "");
}

TEST_CASE("elr: first visits only set the target; bias correction undoes the start from 0",
          "[losses][elr]") {
  const double plain = std::log1p(std::exp(-.8)), p = 1 / (1 + std::exp(-.8));
  CHECK(elr(.8, {0, 0, 0}, {.lambda = 3}).loss == Approx(plain).epsilon(1e-12));
  const double agreement =
      p * p + (1 - p) * (1 - p);  // the corrected target after one visit is P itself
  const ElrResult corrected = elr(.8, {0, 0, 0}, {.lambda = 3, .warmup_visits = 0});
  CHECK(corrected.loss == Approx(plain + 3 * std::log1p(-agreement)).epsilon(1e-12));
  CHECK(difference(corrected.history, {.3 * p, .3 * (1 - p), 1}) == "");
}

TEST_CASE("elr: certain pairs stay finite", "[losses][elr]") {
  const ElrResult result = elr(500, {.9999, .0001, 50}, {.warmup_visits = 0});
  CHECK(std::isfinite(result.loss));
  CHECK(result.loss > -10.0);
}

TEST_CASE("reweight: worked weights", "[losses][reweight]") {
  const Numbers losses{.2, .5, .9, 1.4};
  const auto weights = [&](const char* strategy, double r) {
    return numbers(dynamic_weights(vector(losses), strategy, r));
  };
  CHECK(difference(weights("linupper", 1), {.123681, .203916, .336201, .336201}, kSixDecimals) ==
        "");
  CHECK(difference(weights("linupper", .4), {.034656, .120960, .422192, .422192}, kSixDecimals) ==
        "");
  CHECK(difference(weights("quadratic", .4), {.050287, .327910, .571517, .050287}, kSixDecimals) ==
        "");
  CHECK(difference(weights("extremes", .4), {.414762, .118831, .051644, .414762}, kSixDecimals) ==
        "");
  CHECK(difference(weights("uniform", .4), Numbers(4, .25)) == "");
  CHECK(difference(weights("linupper", 1e6), Numbers(4, .25), {0, 1e-6}) == "");
  CHECK(difference(numbers(dynamic_weights(vector({2, 2, 2}), "quadratic", .4)),
                   Numbers(3, 1.0 / 3)) == "");
  // Only the place within the batch matters, not scale and offset.
  CHECK(difference(numbers(dynamic_weights(vector(losses) * 3.0 + 7.0, "quadratic", .4)),
                   weights("quadratic", .4)) == "");
}

TEST_CASE("reweight: the batch mean becomes the weighted sum, weights without gradient",
          "[losses][reweight]") {
  const PreferenceBatch plain = random_batch(5, 4), weighted = random_batch(5, 4);
  const Evaluation base = evaluate(DpoLoss({}), plain);
  const ReweightModifier loss(std::make_unique<DpoLoss>(DpoOptions{}), {});
  const Evaluation got = evaluate(loss, weighted);
  const Numbers weights = numbers(dynamic_weights(vector(base.pair_loss), "linupper", .4));
  double want = 0.0;
  for (std::size_t i = 0; i < 5; ++i) want += weights[i] * base.pair_loss[i];
  CHECK(difference({got.loss}, {want}) == "");
  const Numbers before = numbers(plain.chosen.logps.grad()),
                after = numbers(weighted.chosen.logps.grad());
  for (std::size_t i = 0; i < 5; ++i) {
    for (std::int64_t t = plain.chosen.offsets[i]; t < plain.chosen.offsets[i + 1]; ++t) {
      CHECK(difference({after[t]}, {before[t] * 5 * weights[i]}) == "");
    }
  }
  CHECK(loss.needs().whole_step);
  double squares = 0.0;
  for (const double weight : weights) squares += weight * weight;
  CHECK(difference({got.metrics.at("reweight/effective_pairs")}, {1.0 / squares}) == "");
}

TEST_CASE("reweight: a pair's loss counts its terms with their weights", "[losses][reweight]") {
  const DpoOptions two{.loss_type = {"sigmoid", "hinge"}, .loss_weights = {1.0, .2}};
  const PreferenceBatch batch = random_batch(5, 4);
  const Numbers losses = evaluate(DpoLoss(two), random_batch(5, 4)).pair_loss;
  const Numbers weights = numbers(dynamic_weights(vector(losses), "linupper", .4));
  double want = 0.0;
  for (std::size_t i = 0; i < 5; ++i) want += weights[i] * losses[i];
  const ReweightModifier loss(std::make_unique<DpoLoss>(two), {});
  CHECK(difference({evaluate(loss, batch).loss}, {want}) == "");
}

TEST_CASE("reweight: token terms are left alone, and a loss of tokens only is refused",
          "[losses][reweight]") {
  const RpoOptions rpo{.eta = .3, .reduction = "token_mean"};
  const PreferenceBatch batch = random_batch(5, 4);
  const LossOutput plain = RpoLoss(rpo)(batch);
  const LossOutput weighted = ReweightModifier(std::make_unique<RpoLoss>(rpo), {})(batch);
  CHECK(plain.sums[1].item<double>() == weighted.sums[1].item<double>());
  CHECK(plain.sums[0].item<double>() != weighted.sums[0].item<double>());
  CHECK_THROWS_AS(ReweightModifier(std::make_unique<SftLoss>(SftOptions{}), {}), UsageError);
}
