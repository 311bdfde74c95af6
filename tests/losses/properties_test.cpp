// What must hold for every loss and modifier: gradients, sums over micro-batches, symmetry, limit
// cases.
#include <cmath>
#include <functional>
#include <numbers>

#include "batches.hpp"
#include "core/options.hpp"
#include "losses/dpo.hpp"
#include "losses/elr.hpp"
#include "losses/kto.hpp"
#include "losses/registry.hpp"
#include "losses/reweight.hpp"
#include "losses/rpo.hpp"
#include "losses/simpo.hpp"
#include "losses/tdpo.hpp"
#include "losses/treg.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;

namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;
struct Named {
  std::string title, loss;
  Settings settings;
};

OptionValues values_of(const Settings& settings) {
  OptionValues values;
  for (const auto& [key, text] : settings) values.set(key, text, "test");
  return values;
}
std::unique_ptr<PreferenceLoss> made(const Named& named) {
  return make_loss(named.loss, values_of(named.settings));
}

/// Every loss of the registry, every DPO loss type and divergence, and variants that take other
/// paths.
std::vector<Named> all_losses() {
  std::vector<Named> all;
  for (const LossEntry& entry : losses()) all.push_back({entry.name, entry.name, {}});
  for (const DpoType& type : dpo_types()) {
    Named named{
        "dpo " + std::string(type.name), "dpo", {{"dpo.loss_type", std::string(type.name)}}};
    if (type.reads_smoothing) named.settings.emplace_back("dpo.label_smoothing", "0.1");
    all.push_back(named);
  }
  for (const std::string& name : f_divergence_names())
    all.push_back({"dpo " + name, "dpo", {{"dpo.f_divergence_type", name}}});
  all.push_back({"dpo ld", "dpo", {{"dpo.ld_alpha", "0.4"}}});
  all.push_back({"dpo wpo", "dpo", {{"dpo.use_weighting", "true"}}});
  all.push_back({"dpo shift", "dpo", {{"dpo.dpo_lambda", "0.7"}}});
  for (const std::string strategy : {"increase_linear", "decrease_linear"})
    all.push_back({"dpo shift " + strategy, "dpo", {{"dpo.dpo_lambda_strategy", strategy}}});
  all.push_back(
      {"dpo mix",
       "dpo",
       {{"dpo.loss_type", "sigmoid, bco_pair, sft"}, {"dpo.loss_weights", "0.8, 0.2, 1"}}});
  all.push_back({"dpo free", "dpo", {{"dpo.reference_free", "true"}}});
  all.push_back({"rpo seq_mean", "rpo", {{"rpo.eta", "0.2"}, {"rpo.reduction", "seq_mean"}}});
  all.push_back({"rpo token_mean", "rpo", {{"rpo.eta", "0.2"}, {"rpo.reduction", "token_mean"}}});
  for (const std::string reduction : {"sum", "seq_mean", "token_mean"}) {
    all.push_back({"rpo gold " + reduction,
                   "rpo",
                   {{"rpo.eta", "0.2"}, {"rpo.baseline", "gold"}, {"rpo.reduction", reduction}}});
  }
  all.push_back({"rapo fwd_kl", "rapo", {{"rapo.distance", "fwd_kl"}}});
  all.push_back({"rapo sq", "rapo", {{"rapo.distance", "sq"}}});
  all.push_back(
      {"simpo alphapo", "simpo", {{"simpo.alphapo_alpha", "0.3"}, {"simpo.sft_weight", "0.2"}}});
  all.push_back({"simpo hinge", "simpo", {{"simpo.loss_type", "hinge"}}});
  all.push_back({"genarm length",
                 "genarm",
                 {{"genarm.length_normalization", "true"}, {"genarm.gamma", "0.3"}}});
  all.push_back({"tdpo1", "tdpo", {{"tdpo.if_tdpo2", "false"}}});
  all.push_back({"kto gradient", "kto", {{"kto.baseline_gradient", "true"}}});
  all.push_back({"kto apo", "kto", {{"kto.loss_type", "apo_zero_unpaired"}}});
  for (const std::string base : {"dpo", "simpo", "rpo", "ipo"}) {
    all.push_back({"treg through weight " + base,
                   base,
                   {{"loss.modifier", "treg"}, {"treg.detach_weight", "false"}}});
    all.push_back({"elr " + base, base, {{"loss.modifier", "elr"}}});
  }
  return all;
}

/// Leaves whose gradient stops somewhere by design, so that differences see more than autograd.
bool stops(const std::string& title, const std::string& leaf) {
  if (title.starts_with("tdpo") && title != "tdpo1") return leaf == "chosen.kl";  // sg(K_w)
  if (title == "dpo wpo") return true;                                            // weights
  if (title == "kto" || title == "bco") return true;                              // baselines
  return title.starts_with("elr") && leaf.ends_with("logps");                     // running target
}

}  // namespace

TEST_CASE("gradients agree with central differences", "[losses][properties]") {
  for (const Named& named : all_losses()) {
    const std::unique_ptr<PreferenceLoss> loss = made(named);
    const PreferenceBatch batch = random_batch(3, 21);
    for (const auto& [name, leaf] : leaves(loss->needs(), batch)) {
      if (stops(named.title, name)) continue;
      INFO(named.title << " " << name);
      CHECK(gradient_error(*loss, batch, leaf) < 1e-7);
    }
  }
}

TEST_CASE("gradients that stop by design are those of the constant", "[losses][properties]") {
  // TDPO2: no gradient into K_w, the full one into K_l.
  const PreferenceBatch tdpo = random_batch(4, 21);
  evaluate(TdpoLoss({}), tdpo);
  CHECK_FALSE(tdpo.chosen.kl.grad().defined());
  CHECK(gradient_error(TdpoLoss({}), tdpo, tdpo.rejected.kl) < 1e-7);
  // WPO: the plain gradient times the pair's weight.
  const PreferenceBatch plain = random_batch(1, 21), weighted = random_batch(1, 21);
  evaluate(DpoLoss({}), plain);
  const double weight =
      evaluate(DpoLoss({.use_weighting = true}), weighted).metrics.at("wpo/weight");
  CHECK(difference(numbers(weighted.chosen.logps.grad()),
                   numbers(plain.chosen.logps.grad() * weight)) == "");
  CHECK(difference(numbers(weighted.rejected.logps.grad()),
                   numbers(plain.rejected.logps.grad() * weight)) == "");
  // KTO: with baselines held at their values the responses are independent terms.
  const PreferenceBatch kto = random_batch(4, 21);
  const Evaluation got = evaluate(KtoLoss({}), kto);
  const double k_l = got.metrics.at("kto/baseline_chosen");
  const at::Tensor a = log_ratio(kto.chosen).detach();
  for (std::int64_t i = 0; i < 4; ++i) {
    const double s = 1 / (1 + std::exp(-.1 * (a[i].item<double>() - k_l)));
    CHECK(difference({kto.chosen.logps.grad()[kto.chosen.offsets[i]].item<double>()},
                     {-.1 * s * (1 - s) / 8}) == "");
  }
}

TEST_CASE("sums add up over micro-batches", "[losses][properties]") {
  for (Named named : all_losses()) {
    const std::unique_ptr<PreferenceLoss> loss = made(named);
    if (loss->needs().whole_step) continue;
    INFO(named.title);
    const PreferenceBatch batch = random_batch(8, 33);
    const LossOutput whole = (*loss)(batch);
    const LossOutput first = (*loss)(slice(batch, 0, 4)), second = (*loss)(slice(batch, 4, 8));
    for (std::size_t k = 0; k < whole.sums.size(); ++k) {
      CHECK(difference({first.sums[k].item<double>() + second.sums[k].item<double>()},
                       {whole.sums[k].item<double>()}) == "");
    }
    REQUIRE(whole.metrics.size() == first.metrics.size());
    for (std::size_t m = 0; m < whole.metrics.size(); ++m) {
      INFO(whole.metrics[m].name);
      CHECK(difference({first.metrics[m].sum + second.metrics[m].sum}, {whole.metrics[m].sum},
                       {1e-10, 1e-11}) == "");
      CHECK(first.metrics[m].count + second.metrics[m].count == whole.metrics[m].count);
    }
    Numbers pair_loss = numbers(first.pair_loss), margin = numbers(first.margin);
    for (const double value : numbers(second.pair_loss)) pair_loss.push_back(value);
    for (const double value : numbers(second.margin)) margin.push_back(value);
    CHECK(difference(pair_loss, numbers(whole.pair_loss)) == "");
    CHECK(difference(margin, numbers(whole.margin)) == "");
  }
}

TEST_CASE("pair losses are what the mean is made of", "[losses][properties]") {
  for (const Named& named : all_losses()) {
    const std::unique_ptr<PreferenceLoss> loss = made(named);
    bool tokens = false;
    for (const TermInfo& info : loss->terms())
      tokens |= info.per != Per::kPair && info.per != Per::kResponse;
    if (tokens) continue;
    INFO(named.title);
    const Evaluation got = evaluate(*loss, random_batch(6, 40));
    double mean = 0.0;
    for (const double value : got.pair_loss) mean += value / 6;
    CHECK(difference({mean}, {got.loss}) == "");
  }
}

TEST_CASE("swapping the responses turns the margin round", "[losses][properties]") {
  for (const Named& named : all_losses()) {
    if (named.title == "tdpo" || named.loss == "orpo")
      continue;  // TDPO2 and ORPO's imitation are not symmetric
    if (named.title.starts_with("dpo shift")) continue;
    INFO(named.title);
    const std::unique_ptr<PreferenceLoss> loss = made(named);
    const PreferenceBatch batch = random_batch(5, 50);
    Numbers turned = numbers((*loss)(swap(batch)).margin);
    for (double& value : turned) value = -value;
    CHECK(difference(turned, numbers((*loss)(batch).margin)) == "");
  }
}

TEST_CASE("swapping responses and label changes nothing", "[losses][properties]") {
  for (const char* name : {"dpo", "cdpo", "ipo", "genarm", "rrpo"}) {
    INFO(name);
    Settings settings;
    if (std::string(name) == "rrpo") settings.emplace_back("rrpo.alpha", "0");
    const std::unique_ptr<PreferenceLoss> loss = make_loss(name, values_of(settings));
    PreferenceBatch batch = random_batch(5, 50);
    batch.label = vector({1, .9, .5, .2, 0});
    PreferenceBatch turned = swap(batch);
    turned.label = 1.0 - batch.label;
    CHECK(difference(numbers((*loss)(turned).pair_loss), numbers((*loss)(batch).pair_loss)) == "");
  }
}

TEST_CASE("policy = reference: log 2, margin 0", "[losses][properties]") {
  for (const char* name : {"dpo", "cdpo", "rrpo", "tdpo"}) {
    INFO(name);
    PreferenceBatch batch = random_batch(5, 60);
    for (ResponseSide* side : {&batch.chosen, &batch.rejected}) {
      side->ref_logps = side->logps.detach().clone();
      side->kl = (side->kl * 0.0).detach();
    }
    const Evaluation got = evaluate(*make_loss(name, {}), batch);
    CHECK(difference({got.loss}, {std::numbers::ln2}, {1e-15}) == "");
    CHECK(difference(got.margin, Numbers(5, 0.0), {0, 0}) == "");
    CHECK(got.metrics.at("rewards/accuracies") == 0.0);
  }
}

TEST_CASE("identical responses: log 2, and gradients that cancel", "[losses][properties]") {
  for (const char* name : {"dpo", "cdpo", "tdpo", "rrpo", "genarm"}) {
    INFO(name);
    PreferenceBatch batch = random_batch(5, 61);
    batch.rejected = batch.chosen;  // the same leaves: both sides' gradients meet in them
    const Settings settings{{"tdpo.if_tdpo2", "false"}, {"rrpo.alpha", "0"}};
    const Evaluation got = evaluate(*make_loss(name, values_of(settings)), batch);
    CHECK(difference({got.loss}, {std::numbers::ln2}, {1e-15}) == "");
    CHECK(difference(numbers(batch.chosen.logps.grad()), Numbers(batch.chosen.offsets.back(), 0.0),
                     {0, 1e-17}) == "");
  }
}

TEST_CASE("float32 inputs: pair numbers are float64, gradients float32 and as close as it gets",
          "[losses][properties]") {
  for (const Named& named : all_losses()) {
    INFO(named.title);
    const std::unique_ptr<PreferenceLoss> loss = made(named);
    const PreferenceBatch exact = random_batch(4, 70);
    PreferenceBatch rounded = random_batch(4, 70);
    for (ResponseSide* side : {&rounded.chosen, &rounded.rejected}) {
      for (at::Tensor ResponseSide::*part : {&ResponseSide::logps, &ResponseSide::kl}) {
        side->*part = (side->*part).detach().to(at::kFloat).requires_grad_(true);
      }
      for (at::Tensor ResponseSide::*part : {&ResponseSide::ref_logps, &ResponseSide::square_logsum,
                                             &ResponseSide::token_rewards, &ResponseSide::reward}) {
        side->*part = (side->*part).to(at::kFloat);
      }
    }
    rounded.label = rounded.label.to(at::kFloat);
    rounded.prompt_nll = rounded.prompt_nll.detach().to(at::kFloat);
    const Evaluation want = evaluate(*loss, exact), got = evaluate(*loss, rounded);
    CHECK(difference({got.loss}, {want.loss}, {1e-5, 1e-6}) == "");
    if (!exact.chosen.logps.grad().defined()) continue;
    CHECK(rounded.chosen.logps.grad().scalar_type() == at::kFloat);
    CHECK(difference(numbers(rounded.chosen.logps.grad()), numbers(exact.chosen.logps.grad()),
                     {1e-4, 1e-6}) == "");
  }
}

TEST_CASE("an empty response divides by 1, not by 0", "[losses][properties]") {
  PreferenceBatch batch = random_batch(2, 80);
  batch.chosen = batch.rejected;
  batch.chosen.offsets = {0, 0,
                          batch.rejected.offsets.back()};  // the first chosen response is empty
  for (const char* name : {"sft", "simpo", "ipo"}) {
    INFO(name);
    for (const double value : numbers((*make_loss(name, {}))(batch).pair_loss)) {
      CHECK(std::isfinite(value));
    }
  }
}

TEST_CASE("small differences of long responses survive float32", "[losses][properties]") {
  // 2000 tokens of -2.01 nats: summing float32 first and subtracting then would lose a difference
  // of 1.2e-4.
  const std::int64_t tokens = 2000;
  PreferenceBatch batch;
  for (ResponseSide* side : {&batch.chosen, &batch.rejected}) {
    side->offsets = {0, tokens};
    side->ref_logps = vector(Numbers(tokens, -2.01)).to(at::kFloat);
    side->logps = side->ref_logps.clone();
  }
  batch.chosen.logps.narrow(0, 0, 500).add_(
      2.384185791015625e-07);  // one unit in the last place of 2.01
  const double margin = numbers(DpoLoss({.beta = 1})(batch).margin)[0];
  CHECK(margin == Approx(500 * 2.384185791015625e-07).epsilon(1e-9));
}

TEST_CASE("rpo: gold answers are imitated in place of the chosen ones", "[losses][rpo]") {
  const PreferenceBatch batch = random_batch(4, 3);
  const double dpo = evaluate(*make_loss("dpo", {}), batch).loss;
  const double nll = -batch.baseline.logps.sum().item<double>();
  const auto with = [&](const char* reduction) {
    return evaluate(*make_loss("rpo", values_of({{"rpo.eta", "0.2"},
                                                 {"rpo.baseline", "gold"},
                                                 {"rpo.reduction", reduction}})),
                    batch)
        .loss;
  };
  // Four pairs, three of them with gold answers of 2, 3 and 1 tokens; beta is 0.1.
  CHECK(with("sum") == Approx(dpo + 0.2 * 0.1 * nll / 4.0).epsilon(1e-12));
  CHECK(with("token_mean") == Approx(dpo + 0.2 * nll / 6.0).epsilon(1e-12));
  const Numbers gold = numbers(batch.baseline.logps.detach());
  const double means = (gold[0] + gold[1]) / 2.0 + (gold[2] + gold[3] + gold[4]) / 3.0 + gold[5];
  CHECK(with("seq_mean") == Approx(dpo - 0.2 * means / 4.0).epsilon(1e-12));
}
