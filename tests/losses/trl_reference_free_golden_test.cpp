// TRL's reference-free losses (CPO, SimPO, ORPO) against losses_trl.json.
#include <algorithm>

#include "golden_batches.hpp"
#include "losses/dpo.hpp"
#include "losses/orpo.hpp"
#include "losses/simpo.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;
using nlohmann::json;

namespace {

std::unique_ptr<PreferenceLoss> cpo(const json& r) {
  const std::string type = r["loss_type"];
  if (type == "simpo") {
    return std::make_unique<SimpoLoss>(
        SimpoOptions{.beta = r["beta"],
                     .simpo_gamma = r["simpo_gamma"],
                     .label_smoothing = r.value("label_smoothing", 0.0),
                     .alphapo_alpha = r.value("alphapo_alpha", 0.0),
                     .sft_weight = r.value("cpo_alpha", 0.0)});
  }
  DpoOptions o{.beta = r["beta"], .loss_type = {type}, .reference_free = true};
  o.label_smoothing = r.value("label_smoothing", 0.0);
  if (o.label_smoothing > 0.0) {
    CHECK(type == "sigmoid");
    o.loss_type = {"cdpo"};
  }
  if (r.value("cpo_alpha", 0.0) > 0.0) {
    o.loss_type.push_back("sft");
    o.loss_weights = {1.0, r["cpo_alpha"]};
  }
  return std::make_unique<DpoLoss>(o);
}

}  // namespace

TEST_CASE("simpo and reference-free dpo: TRL's CPO", "[golden][losses][simpo]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["cpo_orpo_sums"]) {
    for (const json& r : c["cpo"]) {
      INFO(c["name"] << " " << r["loss_type"] << " " << r["beta"] << " " << r["alphapo_alpha"]);
      const PreferenceBatch batch = plain_sums_batch(c);
      const Evaluation got = evaluate(*cpo(r), batch);
      CHECK(difference({got.loss}, {number(r["loss"])}) == "");
      CHECK(difference(got.pair_loss, flat(r["loss_per_pair"])) == "");
      CHECK(difference(sum_gradients(batch.chosen), flat(r["grad_chosen"])) == "");
      CHECK(difference(sum_gradients(batch.rejected), flat(r["grad_rejected"])) == "");
      Numbers margin = flat(r["rewards_chosen"]);
      const Numbers rejected = flat(r["rewards_rejected"]);
      for (std::size_t i = 0; i < margin.size(); ++i) margin[i] -= rejected[i];
      CHECK(difference(got.margin, margin, {1e-10, 1e-10}) == "");
    }
  }
}

TEST_CASE("orpo: odds-ratio term of TRL (float32)", "[golden][losses][orpo]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["cpo_orpo_sums"]) {
    for (const json& r : c["orpo"]) {
      INFO(c["name"] << " " << r["lambda"]);
      CHECK(r["dtype"] == "float32");
      PreferenceBatch batch = plain_sums_batch(c);
      batch.prompt_nll = vector(Numbers(6, 0.0));
      batch.prompt_lengths.assign(6, 1);
      const double lambda = r["lambda"];
      const OrpoLoss loss({.beta = lambda});
      const LossOutput out = loss(batch);
      at::Tensor term = out.sums[1] * (lambda / 6);
      term.backward();
      const Tolerance float32{1e-5, 1e-7};
      CHECK(difference({term.item<double>()}, {number(r["loss"])}, float32) == "");
      CHECK(difference(numbers(loss.pair_terms(batch).values[1] * lambda), flat(r["loss_per_pair"]),
                       float32) == "");
      CHECK(difference(sum_gradients(batch.chosen), flat(r["grad_chosen"]), float32) == "");
      CHECK(difference(sum_gradients(batch.rejected), flat(r["grad_rejected"]), float32) == "");
      std::map<std::string, double> metrics;
      for (const Metric& metric : out.metrics) metrics[metric.name] = metric.sum / metric.count;
      CHECK(difference({metrics.at("log_odds_ratio")}, {number(r["mean_log_sigmoid"])}, float32) ==
            "");
      CHECK(difference({metrics.at("log_odds_chosen")}, {number(r["mean_log_odds"])}, float32) ==
            "");
    }
  }
}

namespace {

/// Mean over the responses of a side of their log-prob a token.
double mean_token_logp(const ResponseSide& side) {
  return mean(numbers(response_sum(side, side.logps) / response_lengths(side)));
}

/// TRL's metrics have two meanings in one name. Where theirs is another than ours, both are stated.
void check_metrics(const json& r, const Evaluation& got, const PreferenceBatch& batch) {
  const auto same = [](double ours, double theirs) {
    return difference({ours}, {theirs}, {1e-6}).empty();
  };
  const std::string type = r["config"].value("loss_type", "orpo");
  const double beta = r["config"]["beta"];
  for (const auto& [name, value] : r["metrics"].items()) {
    INFO(name);
    const double theirs = number(value);
    const bool is_chosen = name.ends_with("/chosen"), is_logps = name.starts_with("logps/");
    if (name.starts_with("logits/")) continue;  // check_logit_means()
    if (name == "nll_loss" && theirs == 0.0) {
      // Written where the NLL has no weight: nothing was computed, and we write nothing.
      CHECK(r["config"]["cpo_alpha"] == 0.0);
      CHECK_FALSE(got.metrics.contains(name));
    } else if ((is_logps && type != "sigmoid") || (name.starts_with("rewards/") && type == "ipo")) {
      // A mean over tokens with TRL, a sum over them with us.
      const double w = mean_token_logp(batch.chosen), l = mean_token_logp(batch.rejected);
      const double means = name == "rewards/accuracies" ? got.metrics.at(name)
                           : name == "rewards/margins"  ? w - l
                           : is_chosen                  ? w
                                                        : l;
      CHECK(same(name == "rewards/accuracies" ? means : means * (is_logps ? 1.0 : beta), theirs));
      // The two are one number only where every response is one token.
      const auto single = [&](const ResponseSide& side) {
        return side.offsets.back() == batch.pairs();
      };
      const bool one_token = (name.ends_with("/rejected") || single(batch.chosen)) &&
                             (is_chosen || single(batch.rejected));
      if (name != "rewards/accuracies") CHECK(same(got.metrics.at(name), theirs) == one_token);
    } else {
      CHECK(same(got.metrics.at(name), theirs));
    }
  }
}

/// TRL's CPO and ORPO average logits over prompt and padding too (ORPO not over the last position);
/// we, as TRL's DPO, over the tokens of the responses alone.
void check_logit_means(const json& c, const json& r) {
  const auto completion = mask_of(c["completion_mask"]);
  const std::size_t rows = completion.size(), skipped = r["kind"] == "orpo" ? 1 : 0;
  for (const bool chosen : {true, false}) {
    Numbers everywhere, of_tokens;
    for (std::size_t s = chosen ? 0 : rows / 2; s < (chosen ? rows / 2 : rows); ++s) {
      for (std::size_t t = 0; t + skipped < completion[s].size(); ++t) {
        const double value = mean(flat(c["logits"][s][t]));
        everywhere.push_back(value);
        if (t + 1 < completion[s].size() && completion[s][t + 1]) of_tokens.push_back(value);
      }
    }
    const double theirs = number(r["metrics"][chosen ? "logits/chosen" : "logits/rejected"]);
    CHECK(difference({mean(everywhere)}, {theirs}) == "");
    CHECK(std::abs(mean(of_tokens) - theirs) > 1e-6);
  }
}

}  // namespace

TEST_CASE("simpo, orpo, reference-free dpo: TRL's losses from logits", "[golden][losses]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["cpo_orpo_tokens"]) {
    const auto completion = mask_of(c["completion_mask"]), attention = mask_of(c["attention_mask"]);
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["kind"] << " " << r["config"]);
      const at::Tensor logits = logits_leaf(c["logits"]);
      PreferenceBatch batch =
          batch_of_logits(logits, logits.detach(), picks_of(c["input_ids"], completion));
      Tolerance tolerance;
      std::unique_ptr<PreferenceLoss> loss;
      if (r["kind"] == "orpo") {
        auto prompt = attention;
        for (std::size_t s = 0; s < prompt.size(); ++s) {
          for (std::size_t t = 0; t < prompt[s].size(); ++t) {
            if (completion[s][t]) prompt[s][t] = false;
          }
          if (s < static_cast<std::size_t>(batch.pairs())) {
            batch.prompt_lengths.push_back(std::count(prompt[s].begin(), prompt[s].end(), true));
          }
        }
        const ResponseSide side =
            batch_of_logits(logits, logits.detach(), picks_of(c["input_ids"], prompt)).chosen;
        batch.prompt_nll = -response_sum(side, side.logps);
        loss = std::make_unique<OrpoLoss>(OrpoOptions{.beta = r["config"]["beta"]});
        tolerance = {1e-5, 1e-7};
      } else {
        CHECK(r["kind"] == (r["config"]["loss_type"] == "simpo" ? "simpo" : "cpo"));
        loss = cpo(r["config"]);
      }
      const Evaluation got = evaluate(*loss, batch);
      CHECK(difference({got.loss}, {number(r["loss"])}, tolerance) == "");
      CHECK(difference(numbers(logits.grad()), flat(r["grad_logits"]), tolerance) == "");
      check_metrics(r, got, batch);
      check_logit_means(c, r);
    }
  }
}
