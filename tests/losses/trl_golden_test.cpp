// TRL's DPO family against losses_trl.json (see its header for what ran).
#include <algorithm>

#include "batches.hpp"
#include "core/error.hpp"
#include "losses/bco.hpp"
#include "losses/dpo.hpp"
#include "losses/kto.hpp"
#include "losses/orpo.hpp"
#include "losses/simpo.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;
using nlohmann::json;

namespace {

DpoOptions dpo_options(const json& config) {
  DpoOptions o;
  o.beta = config.value("beta", o.beta);
  o.loss_type = config.value("loss_types", o.loss_type);
  o.loss_weights = config.value("loss_weights", o.loss_weights);
  o.label_smoothing = config.value("label_smoothing", o.label_smoothing);
  o.f_divergence_type = config.value("f_divergence_type", o.f_divergence_type);
  o.f_alpha_divergence_coef = config.value("f_alpha_divergence_coef", o.f_alpha_divergence_coef);
  o.discopop_tau = config.value("discopop_tau", o.discopop_tau);
  o.ld_alpha = config.value("ld_alpha", o.ld_alpha);
  o.use_weighting = config.value("use_weighting", o.use_weighting);
  const bool smooths =
      std::any_of(o.loss_type.begin(), o.loss_type.end(),
                  [](const std::string& name) { return find_dpo_type(name).reads_smoothing; });
  if (o.label_smoothing > 0.0 && !smooths) {
    // TRL ignores it without a word; we refuse it.
    CHECK_THROWS_AS(DpoLoss(o), UsageError);
    o.label_smoothing = 0.0;
  }
  return o;
}

PreferenceBatch sums_batch(const json& c) {
  return batch_of_sums(
      {flat(c["chosen_logps"]), flat(c["ref_chosen_logps"]), c["chosen_lens"]},
      {flat(c["rejected_logps"]), flat(c["ref_rejected_logps"]), c["rejected_lens"]});
}

/// The same without lengths in the file.
PreferenceBatch plain_sums_batch(const json& c) {
  const auto side = [&](const char* policy, const char* reference) {
    const Numbers sums = flat(c[policy]);
    return Sums{sums, c.contains(reference) ? flat(c[reference]) : Numbers(sums.size(), 0.0),
                std::vector<std::int64_t>(sums.size(), 1)};
  };
  return batch_of_sums(side("chosen_logps", "ref_chosen_logps"),
                       side("rejected_logps", "ref_rejected_logps"));
}

std::vector<std::vector<bool>> mask_of(const json& mask) {
  std::vector<std::vector<bool>> out;
  for (const json& row : mask) {
    out.emplace_back();
    for (const json& value : row) out.back().push_back(value.get<int>() != 0);
  }
  return out;
}

}  // namespace

TEST_CASE("dpo: TRL's loss types on summed log-probs", "[golden][losses][dpo]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["dpo_sums"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["config"]);
      // TRL rounds sums to float32 before its alpha divergence; discopop's blend sigmoid(z / tau)
      // magnifies the error.
      const bool float32 = r["dtype"] == "float32";
      const bool magnified = r["config"]["loss_types"][0] == "discopop";
      const Tolerance tolerance = float32 ? Tolerance{magnified ? 1e-2 : 5e-4, 1e-7} : Tolerance{};
      const PreferenceBatch batch = sums_batch(c);
      const DpoLoss loss(dpo_options(r["config"]));
      const Evaluation got = evaluate(loss, batch);
      CHECK(difference({got.loss}, {number(r["loss"])}, tolerance) == "");
      CHECK(difference(sum_gradients(batch.chosen), flat(r["grad_chosen"]), tolerance) == "");
      CHECK(difference(sum_gradients(batch.rejected), flat(r["grad_rejected"]), tolerance) == "");
      if (r.contains("loss_per_pair")) {
        CHECK(difference(got.pair_loss, flat(r["loss_per_pair"]), tolerance) == "");
      }
      if (r.contains("metrics")) {
        for (const auto& [name, value] : r["metrics"].items()) {
          INFO(name);
          const double relative = name == "rewards/accuracies" ? 1e-6 : 1e-10;
          CHECK(difference({got.metrics.at(name)}, {number(value)}, {relative}) == "");
        }
      }
    }
  }
}

TEST_CASE("dpo: TRL's losses from logits, with LD-DPO and WPO", "[golden][losses][dpo]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["dpo_tokens"]) {
    const PreferenceBatch given =
        batch_of_logits(logits_leaf(c["logits"]), logits_leaf(c["ref_logits"]).detach(),
                        picks_of(c["input_ids"], mask_of(c["completion_mask"])));
    const auto both = [&](at::Tensor ResponseSide::*part) {
      Numbers all = numbers(given.chosen.*part);
      for (const double value : numbers(given.rejected.*part)) all.push_back(value);
      return all;
    };
    // Their fused kernel works in float32.
    const json& kernel = c["kernel_fp32"];
    CHECK(difference(both(&ResponseSide::logps), flat(kernel["log_probs"]), {1e-5, 1e-6}) == "");
    CHECK(difference(both(&ResponseSide::square_logsum), flat(kernel["log_sum_sq_probs"]),
                     {1e-5, 1e-6}) == "");
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["config"]);
      const at::Tensor logits = logits_leaf(c["logits"]),
                       ref = logits_leaf(c["ref_logits"]).detach();
      const PreferenceBatch batch =
          batch_of_logits(logits, ref, picks_of(c["input_ids"], mask_of(c["completion_mask"])));
      const Evaluation got = evaluate(DpoLoss(dpo_options(r["config"])), batch);
      CHECK(difference({got.loss}, {number(r["loss"])}) == "");
      CHECK(difference(numbers(logits.grad()), flat(r["grad_logits"])) == "");
      if (!r.contains("metrics")) continue;
      for (const char* name : {"rewards/chosen", "rewards/rejected", "rewards/accuracies",
                               "rewards/margins", "logps/chosen", "logps/rejected"}) {
        INFO(name);
        CHECK(difference({got.metrics.at(name)}, {number(r["metrics"][name])}, {1e-6}) == "");
      }
    }
  }
}

TEST_CASE("dpo, kto, bco: losses of older TRL", "[golden][losses]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["dpo_older"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["config"]);
      const PreferenceBatch batch = plain_sums_batch(c);
      const std::string type = r["config"]["loss_type"];
      const double beta = r["config"]["beta"];
      const Numbers per_term = flat(r["loss_per_term"]);
      if (type == "kto_pair") {
        const KtoLoss loss({.beta = beta, .baseline_gradient = true});
        CHECK(difference({evaluate(loss, batch).loss}, {number(r["loss"])}) == "");
        CHECK(difference(sum_gradients(batch.chosen), flat(r["grad_chosen"])) == "");
        CHECK(difference(sum_gradients(batch.rejected), flat(r["grad_rejected"])) == "");
        Numbers per_pair;
        for (std::size_t i = 0; i < per_term.size() / 2; ++i) {
          per_pair.push_back((per_term[i] + per_term[i + per_term.size() / 2]) / 2);
        }
        const PreferenceBatch again = plain_sums_batch(c);
        const Evaluation detached = evaluate(KtoLoss({.beta = beta}), again);
        CHECK(difference(detached.pair_loss, per_pair) == "");
        // Our default holds the baselines constant. The file's gradients differ from that wherever
        // a baseline is above 0.
        const bool above = detached.metrics.at("kto/baseline_chosen") > 0.0 ||
                           detached.metrics.at("kto/baseline_rejected") > 0.0;
        const bool same =
            difference(sum_gradients(again.chosen), flat(r["grad_chosen"])).empty() &&
            difference(sum_gradients(again.rejected), flat(r["grad_rejected"])).empty();
        CHECK(same == !above);
      } else if (type == "bco_pair") {
        // A first batch: the running mean is the batch's mean, rounded to float32. TRL 0.9 adds the
        // two terms of a pair.
        const Evaluation got = evaluate(BcoLoss({.beta = beta}), batch);
        CHECK(difference({2 * got.loss}, {number(r["loss"])}, {1e-7}) == "");
        Numbers doubled = got.pair_loss;
        for (double& value : doubled) value *= 2;
        CHECK(difference(doubled, per_term, {1e-6}) == "");
      } else {
        DpoOptions o{.beta = beta, .loss_type = {type == "ipo" ? "ipo_sum" : "cdpo"}};
        if (type != "ipo") o.label_smoothing = r["config"]["label_smoothing"];
        const Evaluation got = evaluate(DpoLoss(o), batch);
        CHECK(difference({got.loss}, {number(r["loss"])}) == "");
        CHECK(difference(got.pair_loss, per_term) == "");
        CHECK(difference(sum_gradients(batch.chosen), flat(r["grad_chosen"])) == "");
        CHECK(difference(sum_gradients(batch.rejected), flat(r["grad_rejected"])) == "");
      }
    }
  }
}

TEST_CASE("bco: running baseline of TRL 1.12", "[golden][losses][bco]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["bco_running"]) {
    at::Tensor chosen = vector(flat(c["chosen_logps"])).requires_grad_(true);
    at::Tensor rejected = vector(flat(c["rejected_logps"])).requires_grad_(true);
    const double beta = file["header"].value("bco_beta", 0.1);
    const at::Tensor delta = vector({number(c["delta"])});
    const at::Tensor w = bco_chosen((chosen - vector(flat(c["ref_chosen_logps"]))) * beta, delta);
    const at::Tensor l =
        bco_rejected((rejected - vector(flat(c["ref_rejected_logps"]))) * beta, delta);
    Numbers terms = numbers(w);
    for (const double value : numbers(l)) terms.push_back(value);
    CHECK(difference(terms, flat(c["loss_per_term"])) == "");
    at::Tensor mean = (w.sum() + l.sum()) / static_cast<double>(terms.size());
    mean.backward();
    CHECK(difference({mean.item<double>()}, {number(c["loss"])}) == "");
    CHECK(difference(numbers(chosen.grad()), flat(c["grad_chosen"])) == "");
    CHECK(difference(numbers(rejected.grad()), flat(c["grad_rejected"])) == "");
  }
}

TEST_CASE("kto: unpaired examples of TRL", "[golden][losses][kto]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["kto"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["loss_type"]);
      at::Tensor logps = vector(flat(c["logps"])).requires_grad_(true);
      const at::Tensor ratio = logps - vector(flat(c["ref_logps"]));
      const at::Tensor good = vector(flat(c["labels"])), sign = good * 2 - 1;
      const double kl = r["kl"], w = r["desirable_weight"], l = r["undesirable_weight"];
      const at::Tensor weight = good * w + (1 - good) * l;
      const at::Tensor terms = kto_value((ratio - kl) * sign, r["beta"].get<double>()) * weight;
      CHECK(difference(numbers(terms), flat(r["loss_per_example"])) == "");
      at::Tensor mean = terms.mean();
      mean.backward();
      CHECK(difference({mean.item<double>()}, {number(r["loss"])}) == "");
      CHECK(difference(numbers(logps.grad()), flat(r["grad"])) == "");
    }
  }
}

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
  if (o.label_smoothing > 0.0) o.loss_type = {"cdpo"};
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
        loss = cpo(r["config"]);
      }
      const Evaluation got = evaluate(*loss, batch);
      CHECK(difference({got.loss}, {number(r["loss"])}, tolerance) == "");
      CHECK(difference(numbers(logits.grad()), flat(r["grad_logits"]), tolerance) == "");
      // TRL's ipo counts rewards of mean log-probs, and its logps/* are means but for sigmoid.
      const std::string type = r["config"].value("loss_type", "orpo");
      for (const auto& [name, value] : r["metrics"].items()) {
        const bool reward = name.starts_with("rewards/") && type != "ipo";
        const bool logps = name.starts_with("logps/") && type == "sigmoid";
        const bool own =
            name.starts_with("log_odds") || (name == "nll_loss" && number(value) != 0.0);
        if (!reward && !logps && !own) continue;
        INFO(name);
        CHECK(difference({got.metrics.at(name)}, {number(value)}, {1e-6}) == "");
      }
    }
  }
}
