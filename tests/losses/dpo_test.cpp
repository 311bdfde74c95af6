// The DPO family and its relatives on worked numbers (plain Python doubles, eight decimals), and at
// the edges.
#include "losses/dpo.hpp"

#include <cmath>
#include <limits>
#include <numbers>

#include "batches.hpp"
#include "core/error.hpp"
#include "losses/bco.hpp"
#include "losses/dpo_shortcuts.hpp"
#include "losses/kto.hpp"
#include "losses/orpo.hpp"
#include "losses/rapo.hpp"
#include "losses/rpo.hpp"
#include "losses/simpo.hpp"
#include "losses/tdpo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;

namespace {

constexpr Tolerance kEightDecimals{0, 6e-9};

/// A row of worked values on the three pairs of fixture_sums(): losses, mean, gradients of each
/// pair alone.
struct Worked {
  const char* name;
  DpoOptions options;
  Numbers losses;
  double mean;
  Numbers chosen, rejected;  // empty rejected: minus chosen
};

const std::vector<Worked>& worked() {
  static const std::vector<Worked> rows{
      {"sigmoid",
       {},
       {.64439666, .85435524, .69314718},
       .73063303,
       {-.04750208, -.05744425, -.05},
       {}},
      {"cdpo",
       {.loss_type = {"cdpo"}, .label_smoothing = .1},
       {.65439666, .82435524, .69314718},
       .72396636,
       {-.03750208, -.04744425, -.04},
       {}},
      {"robust",
       {.loss_type = {"robust"}, .label_smoothing = .1},
       {.63189666, .89185524, .69314718},
       .73896636,
       {-.06000208, -.06994425, -.0625},
       {}},
      {"hinge", {.loss_type = {"hinge"}}, {.9, 1.3, 1.0}, 1.06666667, {-.1, -.1, -.1}, {}},
      {"ipo",
       {.loss_type = {"ipo"}},
       {23.31510204, 28.35562500, 25.0},
       25.55690901,
       {-1.93142857, -1.065, -2.5},
       {1.37959184, 1.33125, 2.5}},
      {"ipo_sum", {.loss_type = {"ipo_sum"}}, {16, 64, 25}, 35.0, {-8, -16, -10}, {}},
      {"sigmoid_norm",
       {.beta = 5, .loss_type = {"sigmoid_norm"}},
       {.35373161, 1.80474464, .69314718},
       .95054114,
       {-.29793663, -.41774177, -.625},
       {.21281188, .52217721, .625}},
      {"exo_pair",
       {.loss_type = {"exo_pair"}, .label_smoothing = 1e-3},
       {2.58995403, 3.28651161, 2.76123071},
       2.87923211,
       {-.16974416, -.17617511, -.17266887},
       {}},
      {"nca_pair",
       {.loss_type = {"nca_pair"}},
       {1.36191930, 1.46940663, 1.38629436},
       1.40587343,
       {-.02312539, -.03247510, -.025},
       {.02437513, .02624896, .025}},
      {"bco_pair",
       {.loss_type = {"bco_pair"}},
       {1.33691930, 1.54253553, 1.38629436},
       1.42191640,
       {-.04875026, -.05498340, -.05},
       {.04875026, .05249792, .05}},
      {"sppo_hard",
       {.loss_type = {"sppo_hard"}},
       {40.5, 85, 50},
       58.5,
       {-9, -14, -10},
       {9, 12, 10}},
      {"apo_zero",
       {.loss_type = {"apo_zero"}},
       {.97500521, 1.07481318, 1.0},
       1.01660613,
       {-.02498438, -.02475166, -.025},
       {.02498438, .02493760, .025}},
      {"apo_down",
       {.loss_type = {"apo_down"}},
       {.98751821, 1.02460852, 1.0},
       1.00404224,
       {.00004678, .00030583, 0},
       {.02493760, .02444583, .025}},
      {"discopop",
       {.loss_type = {"discopop"}},
       {.87379212, .85558044, .84657359},
       .85864872,
       {-.03067098, -.05519165, .07842641},
       {}},
      {"sigmoid, forward KL",
       {.f_divergence_type = "forward_kl"},
       {.64239474, 1.10460154, .69314718},
       .81338115,
       {-.02874766, -.49407450, -.05},
       {.07814424, .02459852, .05}},
      {"sigmoid, Jensen-Shannon",
       {.f_divergence_type = "js_divergence"},
       {.66845965, .78793661, .69314718},
       .71651448,
       {-.01840521, -.04802262, -.025},
       {.03034505, .01466316, .025}},
      {"sigmoid, alpha 0.5",
       {.f_divergence_type = "alpha_divergence"},
       {.64390043, .92645598, .69314718},
       .75450120,
       {-.03697436, -.16419659, -.05},
       {.06096042, .03663721, .05}},
      {"DPO-Shift",
       {.dpo_lambda = .75},
       {.65035391, .84007067, .69314718},
       .72785725,
       {-.04781389, -.05683200, -.05},
       {.03586042, .04262400, .0375}}};
  return rows;
}

Numbers scaled(Numbers values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

/// Loss and gradients of each pair alone, from the batch of three.
void check_worked(const PreferenceLoss& loss, const Numbers& losses, double mean,
                  const Numbers& chosen, const Numbers& rejected, double terms_per_pair = 1) {
  const PreferenceBatch batch = fixture_sums();
  const Evaluation got = evaluate(loss, batch);
  CHECK(difference({got.loss}, {mean}, kEightDecimals) == "");
  CHECK(difference(got.pair_loss, losses, kEightDecimals) == "");
  CHECK(difference(scaled(sum_gradients(batch.chosen), 3 * terms_per_pair), chosen,
                   kEightDecimals) == "");
  CHECK(difference(scaled(sum_gradients(batch.rejected), 3 * terms_per_pair), rejected,
                   kEightDecimals) == "");
}

}  // namespace

TEST_CASE("dpo: worked numbers of every loss type", "[losses][dpo]") {
  for (const Worked& row : worked()) {
    INFO(row.name);
    check_worked(DpoLoss(row.options), row.losses, row.mean, row.chosen,
                 row.rejected.empty() ? scaled(row.chosen, -1) : row.rejected);
  }
}

TEST_CASE("dpo: optimal transport sorts over the batch", "[losses][dpo]") {
  // Sorted differences -3, 0, 1, and -1.5, 0, -0.5 unpaired.
  const Evaluation paired = evaluate(DpoLoss({.loss_type = {"aot"}}), fixture_sums());
  CHECK(difference(paired.pair_loss, {.85435524, .69314718, .64439666}, kEightDecimals) == "");
  const Evaluation unpaired = evaluate(DpoLoss({.loss_type = {"aot_unpaired"}}), fixture_sums());
  CHECK(difference(unpaired.pair_loss, {.77095705, .69314718, .71845965}, kEightDecimals) == "");
  CHECK(DpoLoss({.loss_type = {"sigmoid", "aot"}}).needs().whole_step);
  CHECK_FALSE(DpoLoss({}).needs().whole_step);
}

TEST_CASE("simpo, orpo, kto, bco: worked numbers", "[losses]") {
  check_worked(SimpoLoss({.beta = 2, .simpo_gamma = 1}), {2.12692801, 1.13687101, 1.31326169},
               1.52568690, {-.35231883, -.13583574, -.36552929}, {.25165631, .16979467, .36552929});

  PreferenceBatch batch = fixture_sums();
  batch.prompt_nll = vector({0, 0, 0});
  batch.prompt_lengths = {1, 1, 1};
  const LossOutput orpo = OrpoLoss({.beta = .1})(batch);
  CHECK(difference({orpo.sums[1].item<double>() * .1 / 3}, {.07781894}, kEightDecimals) == "");
  CHECK(difference({orpo.sums[0].item<double>()}, {50.5}, kEightDecimals) == "");
  orpo.sums[1].backward();
  CHECK(difference(scaled(sum_gradients(batch.chosen), .1), {-.01386616, -.00491745, -.01445647},
                   kEightDecimals) == "");
  CHECK(difference(scaled(sum_gradients(batch.rejected), .1), {.01051436, .00610920, .01445647},
                   kEightDecimals) == "");

  // K_w = 0, K_l = 1/6; the mean runs over six responses.
  const Evaluation kto = evaluate(KtoLoss({}), fixture_sums());
  CHECK(difference({kto.loss}, {.51037859}, kEightDecimals) == "");
  CHECK(difference(kto.pair_loss,
                   {(.49166744 + .48750260) / 2, (.55395575 + .52497919) / 2, (.50416657 + .5) / 2},
                   kEightDecimals) == "");
  CHECK(difference({kto.metrics.at("kto/baseline_chosen")}, {1.0 / 6.0}) == "");
  CHECK(kto.metrics.at("kto/baseline_rejected") == 0.0);

  const Evaluation uneven =
      evaluate(KtoLoss({.desirable_weight = 2, .undesirable_weight = 3}), fixture_sums());
  CHECK(difference(uneven.pair_loss,
                   {.49166744 + .48750260 * 1.5, .55395575 + .52497919 * 1.5, .50416657 + .75},
                   {0, 2e-8}) == "");

  const Evaluation bco = evaluate(BcoLoss({}), fixture_sums());
  CHECK(difference({bco.loss}, {.71092380}, kEightDecimals) == "");
  CHECK(difference({bco.metrics.at("bco/delta")}, {-.01666667}, kEightDecimals) == "");
}

TEST_CASE("rpo: worked numbers", "[losses][rpo]") {
  check_worked(RpoLoss({}), {.65064666, .86935524, .69714718}, .73904970,
               {-.04800208, -.05794425, -.0505}, {.04750208, .05744425, .05});
  check_worked(RpoLoss({.eta = .2, .reduction = "seq_mean"}), {1.14439666, 1.45435524, 1.09314718},
               1.23063303, {-.08750208, -.07744425, -.1}, {.04750208, .05744425, .05});
  // The two means differ: 2.65789474 nats per token, 2.5 per sequence.
  const double token =
      evaluate(RpoLoss({.eta = 1, .reduction = "token_mean"}), fixture_sums()).loss;
  const double sequence =
      evaluate(RpoLoss({.eta = 1, .reduction = "seq_mean"}), fixture_sums()).loss;
  const double dpo = evaluate(DpoLoss({}), fixture_sums()).loss;
  CHECK(difference({token - dpo, sequence - dpo}, {2.65789474, 2.5}, kEightDecimals) == "");

  HeadFixture head = fixture_head();
  CHECK(difference({evaluate(RpoLoss({.eta = .5}), head.batch).loss}, {1.04866311},
                   kEightDecimals) == "");
  CHECK(difference({head.head.grad().norm().item<double>()}, {.2072678}, {0, 1e-7}) == "");
  const Numbers gradient = numbers(head.head.grad());
  CHECK(difference({gradient.begin(), gradient.begin() + 3}, {.06003843, -.12631829, -.04535510},
                   kEightDecimals) == "");
}

TEST_CASE("rpo: without imitation it is dpo, bit for bit", "[losses][rpo]") {
  for (const double eta : {0.0, 1e-7}) {  // the official code takes eta below 1e-6 as 0
    const PreferenceBatch ours = random_batch(9, 5), theirs = random_batch(9, 5);
    CHECK(evaluate(RpoLoss({.eta = eta}), ours).loss == evaluate(DpoLoss({}), theirs).loss);
    CHECK(numbers(ours.chosen.logps.grad()) == numbers(theirs.chosen.logps.grad()));
    CHECK(numbers(ours.rejected.logps.grad()) == numbers(theirs.rejected.logps.grad()));
  }
}

TEST_CASE("rapo: worked numbers", "[losses][rapo]") {
  // beta D = 0.1, reward gap 1.
  PreferenceBatch batch = batch_of_sums({{-1}, {-1.5}, {1}}, {{-2}, {-2}, {1}});
  batch.chosen.reward = vector({2.0});
  batch.rejected.reward = vector({1.0});
  for (const auto& [distance, value] : std::vector<std::pair<std::string, double>>{
           {"bwd_kl", .08908769}, {"fwd_kl", .09638376}, {"sq", .81}}) {
    INFO(distance);
    CHECK(difference({evaluate(RapoLoss({.beta = .2, .distance = distance}), batch).loss}, {value},
                     kEightDecimals) == "");
  }
  const double doubled =
      evaluate(RapoLoss({.beta = .2, .reward_scale = 2, .distance = "sq"}), batch).loss;
  CHECK(difference({doubled}, {1.9 * 1.9}) == "");
}

TEST_CASE("dpo: worked numbers from a vocabulary of five", "[losses][dpo]") {
  const auto value = [](const PreferenceLoss& loss) {
    HeadFixture fixture = fixture_head();
    const double result = evaluate(loss, fixture.batch).loss;
    return Numbers{result, fixture.head.grad().norm().item<double>()};
  };
  CHECK(difference(value(DpoLoss({})), {.71849774, .1036147}, {0, 6e-8}) == "");
  CHECK(difference(value(TdpoLoss({.if_tdpo2 = false})), {.71695306, .1040392}, {0, 6e-8}) == "");
  CHECK(difference(value(TdpoLoss({})), {.71772512, .1044162}, {0, 6e-8}) == "");
  CHECK(difference({value(DpoLoss({.ld_alpha = .5}))[0]}, {.72126753}, kEightDecimals) == "");
  HeadFixture fixture = fixture_head();
  const Evaluation weighted = evaluate(DpoLoss({.use_weighting = true}), fixture.batch);
  CHECK(difference({weighted.loss}, {.24221391}, kEightDecimals) == "");
  CHECK(difference({weighted.metrics.at("wpo/weight")}, {.44137347 * .76377854}, {0, 1e-8}) == "");

  HeadFixture plain = fixture_head();
  evaluate(DpoLoss({}), plain.batch);
  const Numbers head = numbers(plain.head.grad());
  CHECK(difference({head.begin(), head.begin() + 3}, {.01788612, -.06481744, -.01967225},
                   kEightDecimals) == "");
  CHECK(difference({head.begin() + 12, head.end()}, {.03667040, -.01001541, .01982572},
                   kEightDecimals) == "");
}

TEST_CASE("dpo: metrics have TRL's names; a tie is no win", "[losses][dpo]") {
  const Evaluation got = evaluate(DpoLoss({}), fixture_sums());
  CHECK(difference({got.metrics.at("rewards/chosen"), got.metrics.at("rewards/rejected"),
                    got.metrics.at("rewards/margins"), got.metrics.at("rewards/accuracies")},
                   {-.05, .01666667, -.06666667, .33333333}, kEightDecimals) == "");
  CHECK(difference({got.metrics.at("logps/chosen"), got.metrics.at("logps/rejected"),
                    got.metrics.at("len/chosen"), got.metrics.at("len/rejected"),
                    got.metrics.at("logratio/chosen_tokmean")},
                   {-50.5 / 3, -47.0 / 3, 19.0 / 3, 19.0 / 3, -1.5 / 19}) == "");
}

TEST_CASE("dpo: the margin's tails are exact", "[losses][dpo]") {
  // log(1 + e^-z): 1e4 at z = -1e4, e^-50 at 50, e^-500 at 500.
  const auto value = [](double z) {
    return evaluate(DpoLoss({.beta = 1}), batch_of_sums({{z}, {0}, {1}}, {{0}, {0}, {1}})).loss;
  };
  CHECK(value(-1e4) == 1e4);
  CHECK(difference({value(50), value(500)}, {1.928749847963918e-22, 7.124576406741286e-218},
                   {1e-12, 0}) == "");
}

TEST_CASE("cdpo: lowest where the odds are those of the smoothing", "[losses][dpo]") {
  // e = 0.1: z* = log 9, L* = entropy of 0.1.
  const PreferenceBatch batch = batch_of_sums({{2.1972245773362196}, {0}, {1}}, {{0}, {0}, {1}});
  CHECK(difference({evaluate(CdpoLoss({.beta = 1, .label_smoothing = .1}), batch).loss},
                   {.3250829733914482}) == "");
  CHECK(difference(sum_gradients(batch.chosen), {0.0}, {0, 1e-15}) == "");
}

TEST_CASE("robust: has no lower bound", "[losses][dpo]") {
  for (const auto& [z, value] :
       std::vector<std::pair<double, double>>{{5, -.61828465}, {20, -2.5}, {100, -12.5}}) {
    const DpoLoss loss({.beta = 1, .loss_type = {"robust"}, .label_smoothing = .1});
    CHECK(difference({evaluate(loss, batch_of_sums({{z}, {0}, {1}}, {{0}, {0}, {1}})).loss},
                     {value}, kEightDecimals) == "");
  }
}

TEST_CASE("ipo: its own name gives both forms", "[losses][dpo]") {
  CHECK(evaluate(IpoLoss({}), fixture_sums()).loss ==
        evaluate(DpoLoss({.loss_type = {"ipo"}}), fixture_sums()).loss);
  CHECK(evaluate(IpoLoss({.length_normalization = false}), fixture_sums()).loss == Approx(35.0));
}

TEST_CASE("dpo: several loss types add up with their weights", "[losses][dpo]") {
  const double mixed =
      evaluate(DpoLoss({.loss_type = {"sigmoid", "bco_pair", "sft"}, .loss_weights = {.8, .2, 1}}),
               fixture_sums())
          .loss;
  const double parts = .8 * evaluate(DpoLoss({}), fixture_sums()).loss +
                       .2 * evaluate(DpoLoss({.loss_type = {"bco_pair"}}), fixture_sums()).loss +
                       50.5 / 19;
  CHECK(mixed == Approx(parts).epsilon(1e-12));
}

TEST_CASE("dpo: soft labels mix a pair with its swap", "[losses][dpo]") {
  PreferenceBatch batch = random_batch(6, 2);
  for (const DpoType& type : dpo_types()) {
    if (type.coupled || type.imitates) continue;
    INFO(type.name);
    DpoOptions o{.loss_type = {std::string(type.name)}};
    if (type.reads_smoothing) o.label_smoothing = .1;
    const DpoLoss loss(o);
    batch.label = vector(Numbers(6, 1.0));
    const Numbers hard = numbers(loss(batch).pair_loss),
                  swapped = numbers(loss(swap(batch)).pair_loss);
    batch.label = vector({1, 0, .5, .25, .8, .6});
    const Numbers label = numbers(batch.label);
    Numbers want;
    for (std::size_t i = 0; i < 6; ++i)
      want.push_back(label[i] * hard[i] + (1 - label[i]) * swapped[i]);
    CHECK(difference(numbers(loss(batch).pair_loss), want) == "");
  }
}

TEST_CASE("losses that cannot use soft labels refuse them", "[losses]") {
  PreferenceBatch batch = random_batch(3, 2);
  batch.label = vector({1, 1, .7});
  CHECK_THROWS_AS(DpoLoss({.loss_type = {"aot"}})(batch), UsageError);
  CHECK_THROWS_AS(KtoLoss({})(batch), UsageError);
  CHECK_THROWS_AS(BcoLoss({})(batch), UsageError);
  CHECK_THROWS_AS(RapoLoss({})(batch), UsageError);
}

TEST_CASE("dpo: options that contradict each other are refused", "[losses][dpo]") {
  CHECK_THROWS_AS(DpoLoss({.loss_type = {}}), UsageError);
  CHECK_THROWS_AS(DpoLoss({.loss_type = {"sigmoid", "sft"}, .loss_weights = {1}}), UsageError);
  CHECK_THROWS_AS(DpoLoss({.loss_type = {"exo_pair"}}), UsageError);
  CHECK_THROWS_AS(DpoLoss({.loss_type = {"robust"}, .label_smoothing = .5}), UsageError);
  CHECK_THROWS_AS(DpoLoss({.loss_type = {"hinge"}, .label_smoothing = .1}), UsageError);
  CHECK_THROWS_AS(DpoLoss({.loss_type = {"aot"}, .use_weighting = true}), UsageError);
  CHECK_THROWS_AS(DpoLoss({.loss_type = {"apo_zero"}, .dpo_lambda = .5}), UsageError);
  CHECK_THROWS_WITH(RpoLoss({.label_smoothing = .1}), Catch::Contains("rpo.label_smoothing"));
}

TEST_CASE("dpo: inputs that are missing or of the wrong length are caught", "[losses][dpo]") {
  PreferenceBatch batch = fixture_sums();
  batch.chosen.ref_logps = at::Tensor();
  CHECK_THROWS_AS(DpoLoss({})(batch), InternalError);
  batch = fixture_sums();
  batch.rejected.ref_logps = vector({1, 2});
  CHECK_THROWS_AS(DpoLoss({})(batch), InternalError);
}
