// TRL's DPO family against losses_trl.json (see its header for what ran).
#include <algorithm>

#include "core/error.hpp"
#include "golden_batches.hpp"
#include "losses/bco.hpp"
#include "losses/dpo.hpp"
#include "losses/kto.hpp"
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

}  // namespace

TEST_CASE("dpo: TRL's loss types on summed log-probs", "[golden][losses][dpo]") {
  const json file = golden("losses_trl.json");
  for (const json& c : file["dpo_sums"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["config"]);
      // TRL rounds sums to float32 before its alpha divergence; discopop's blend sigmoid(z / tau)
      // magnifies the error.
      const bool float32 = r["dtype"] == "float32";
      CHECK((float32 || r["dtype"] == "float64"));
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
        const auto gradients = [](const ResponseSide& side) {
          Numbers values = sum_gradients(side);
          for (double& value : values) value *= 2;
          return values;
        };
        CHECK(difference(gradients(batch.chosen), flat(r["grad_chosen"]), {1e-6}) == "");
        CHECK(difference(gradients(batch.rejected), flat(r["grad_rejected"]), {1e-6}) == "");
      } else {
        CHECK((type == "ipo" || type == "sigmoid"));  // the smoothed sigmoid is our cdpo
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
