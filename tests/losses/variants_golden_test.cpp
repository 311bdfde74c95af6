// Official code of DPO, SimPO, DPO-Shift, TDPO, RPO, CREAM and GenARM against ours (headers of the
// golden files name it).
#include <algorithm>

#include "core/error.hpp"
#include "golden_batches.hpp"
#include "losses/dpo.hpp"
#include "losses/genarm.hpp"
#include "losses/rpo.hpp"
#include "losses/simpo.hpp"
#include "losses/tdpo.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;
using nlohmann::json;

namespace {

Numbers minus(Numbers a, const Numbers& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return a;
}

/// Compares loss, per-pair loss, gradients and rewards of a result on sums.
void check_sums(const PreferenceLoss& loss, const json& c, const json& r, double progress = 0.0) {
  PreferenceBatch batch = plain_sums_batch(c);
  batch.progress = progress;
  const Evaluation got = evaluate(loss, batch);
  CHECK(difference({got.loss}, {number(r["loss"])}) == "");
  CHECK(difference(got.pair_loss, flat(r["loss_per_pair"])) == "");
  CHECK(difference(sum_gradients(batch.chosen), flat(r["grad_chosen"])) == "");
  CHECK(difference(sum_gradients(batch.rejected), flat(r["grad_rejected"])) == "");
  const Numbers chosen = flat(r["rewards_chosen"]), rejected = flat(r["rewards_rejected"]);
  if (!loss.needs().reference && c.contains("ref_chosen_logps")) {
    // The official code goes on logging rewards against the reference that the loss ignores. We
    // log those of the loss.
    const double beta = r["config"]["beta"];
    const Numbers a = minus(flat(c["chosen_logps"]), flat(c["ref_chosen_logps"])),
                  b = minus(flat(c["rejected_logps"]), flat(c["ref_rejected_logps"]));
    for (std::size_t i = 0; i < a.size(); ++i)
      CHECK(difference({beta * a[i], beta * b[i]}, {chosen[i], rejected[i]}) == "");
    CHECK(difference({got.metrics.at("rewards/chosen")}, {beta * mean(flat(c["chosen_logps"]))}) ==
          "");
    return;
  }
  CHECK(difference(got.margin, minus(chosen, rejected), {1e-10, 1e-10}) == "");
  CHECK(difference({got.metrics.at("rewards/chosen")}, {mean(chosen)}, {1e-10, 1e-10}) == "");
  CHECK(difference({got.metrics.at("rewards/rejected")}, {mean(rejected)}, {1e-10, 1e-10}) == "");
}

struct TokenCase {
  at::Tensor logits;
  PreferenceBatch batch;
};
/// What the file says twice must agree: scored labels are the input ids, inside of the attention
/// mask.
void check_labels(const json& c, int ignored) {
  for (std::size_t i = 0; i < c["labels"].size(); ++i) {
    for (std::size_t t = 0; t < c["labels"][i].size(); ++t) {
      if (c["labels"][i][t] == ignored) continue;
      CHECK(c["labels"][i][t] == c["input_ids"][i][t]);
      if (c.contains("attention_mask")) CHECK(c["attention_mask"][i][t] == 1);
    }
  }
}
TokenCase token_case(const json& c, int ignored = -100) {
  check_labels(c, ignored);
  const at::Tensor logits = logits_leaf(c["logits"]);
  return {logits, batch_of_logits(logits, logits_leaf(c["ref_logits"]).detach(),
                                  picks_of(c["labels"], labelled(c["labels"], ignored)))};
}

/// Sums of a [N] tensor over each response, chosen ones first.
Numbers sums_of(const PreferenceBatch& batch, at::Tensor ResponseSide::*part) {
  Numbers all = numbers(response_sum(batch.chosen, batch.chosen.*part));
  for (const double value : numbers(response_sum(batch.rejected, batch.rejected.*part)))
    all.push_back(value);
  return all;
}

DpoOptions original_dpo(const json& config) {
  DpoOptions o{.beta = config["beta"]};
  o.reference_free = config.value("reference_free", false);
  if (config.value("ipo", false)) o.loss_type = {"ipo_sum"};
  if (config.contains("label_smoothing")) {
    o.loss_type = {"cdpo"};
    o.label_smoothing = config["label_smoothing"];
  }
  return o;
}

}  // namespace

TEST_CASE("dpo: official code and DPO-Shift on sums", "[golden][losses][dpo]") {
  const json file = golden("dpo_variants.json");
  for (const json& c : file["sums"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["kind"] << " " << r["config"]);
      if (r["kind"] == "dpo_original") {
        check_sums(DpoLoss(original_dpo(r["config"])), c, r);
      } else {
        CHECK(r["kind"] == "dpo_shift");
        const json& config = r["config"];
        DpoOptions options{.beta = config["beta"], .dpo_lambda = config.value("dpo_lambda", 1.0)};
        options.dpo_lambda_strategy = config["strategy"];
        options.dpo_lambda_min = config.value("lambda_min", 0.5);
        options.dpo_lambda_max = config.value("lambda_max", 1.0);
        const double progress = config.value("step", 0.0) / config.value("max_steps", 1.0);
        CHECK(shift_lambda(options, progress) == Approx(r["lambda_used"].get<double>()));
        check_sums(DpoLoss(options), c, r, progress);
      }
    }
  }
}

TEST_CASE("simpo: official code on mean log-probs", "[golden][losses][simpo]") {
  const json file = golden("dpo_variants.json");
  for (const json& c : file["means"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["config"]);
      const double beta = r["config"]["beta"];
      const std::string type = r["config"].value("loss_type", "sigmoid");
      CHECK((type == "sigmoid" || type == "hinge"));
      check_sums(SimpoLoss({.beta = beta,
                            .simpo_gamma = beta * r["config"]["gamma_beta_ratio"].get<double>(),
                            .loss_type = type,
                            .label_smoothing = r["config"].value("label_smoothing", 0.0)}),
                 c, r);
    }
  }
}

TEST_CASE("tdpo and simpo: official code from logits", "[golden][losses][tdpo]") {
  const json file = golden("dpo_variants.json");
  for (const json& c : file["tokens"]) {
    const TokenCase given = token_case(c);
    const Numbers sums = sums_of(given.batch, &ResponseSide::logps), means = flat(c["mean_logps"]);
    CHECK(difference(sums, flat(c["sum_logps"])) == "");
    for (std::size_t i = 0; i < means.size(); ++i) {
      const auto& labels = c["labels"][i];
      const auto n = std::count_if(labels.begin(), labels.end(),
                                   [](const json& label) { return label != -100; });
      CHECK(difference({sums[i] / static_cast<double>(n)}, {means[i]}) == "");
    }
    for (const json& r : c["results"]) {
      INFO(r["kind"] << " " << r["config"]);
      const TokenCase t = token_case(c);
      const json& config = r["config"];
      if (r["kind"] == "simpo") {
        const double beta = config["beta"];
        const SimpoLoss loss({.beta = beta,
                              .simpo_gamma = beta * config["gamma_beta_ratio"].get<double>(),
                              .sft_weight = config["sft_weight"]});
        CHECK(difference({evaluate(loss, t.batch).loss}, {number(r["loss"])}) == "");
      } else {
        CHECK(r["kind"] == "tdpo");
        const TdpoLoss loss({.beta = config["beta"],
                             .alpha = config.value("alpha", 0.5),
                             .if_tdpo2 = config["if_tdpo2"]});
        const Evaluation got = evaluate(loss, t.batch);
        CHECK(difference({got.loss}, {number(r["loss"])}) == "");
        CHECK(difference(got.pair_loss, flat(r["loss_per_pair"])) == "");
        CHECK(difference({got.metrics.at("rewards/chosen")}, {mean(flat(r["rewards_chosen"]))}) ==
              "");
        CHECK(difference({got.metrics.at("rewards/rejected")},
                         {mean(flat(r["rewards_rejected"]))}) == "");
        const std::size_t pairs = got.pair_loss.size();
        const Numbers kl = flat(r["kl"]);
        CHECK(difference({got.metrics.at("kl/chosen")}, {mean({kl.begin(), kl.begin() + pairs})}) ==
              "");
        CHECK(difference({got.metrics.at("kl/rejected")}, {mean({kl.begin() + pairs, kl.end()})}) ==
              "");
        CHECK(difference(minus(sums_of(t.batch, &ResponseSide::logps),
                               sums_of(t.batch, &ResponseSide::ref_logps)),
                         flat(r["margin"])) == "");
        CHECK(difference(sums_of(t.batch, &ResponseSide::logps), flat(r["logps"])) == "");
      }
      CHECK(difference(numbers(t.logits.grad()), flat(r["grad_logits"])) == "");
    }
  }
}

TEST_CASE("rpo: official code on sums", "[golden][losses][rpo]") {
  const json file = golden("rpo.json");
  for (const json& c : file["sums"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["config"]);
      const json& config = r["config"];
      RpoOptions o{.beta = config.value("beta", 0.1), .eta = config["eta"]};
      o.label_smoothing = config.value("label_smoothing", 0.0);
      const std::string type = config.value("loss_type", "sigmoid");
      // The repository smooths `sigmoid` and does not normalise `ipo`: our cdpo and ipo_sum.
      o.loss_type = type == "ipo"                                ? "ipo_sum"
                    : type == "sigmoid" && o.label_smoothing > 0 ? "cdpo"
                                                                 : type;
      check_sums(RpoLoss(o), c, r);
    }
  }
}

TEST_CASE("rpo: official code from logits, sum and average", "[golden][losses][rpo]") {
  const json file = golden("rpo.json");
  for (const json& c : file["tokens"]) {
    const auto scored = labelled(c["labels"], -100);
    for (std::size_t s = 0; s < scored.size(); ++s) {
      const auto first = std::find(scored[s].begin(), scored[s].end(), true);
      CHECK(std::count(first, scored[s].end(), true) == c["completion_lens"][s]);
      CHECK(first - scored[s].begin() == c["prompt_lens"][s % c["prompt_lens"].size()]);
    }
    for (const json& r : c["results"]) {
      CHECK((r["variant"] == "sum" || r["variant"] == "average"));
      INFO(r["variant"] << " " << r["config"]);
      const TokenCase t = token_case(c);
      const RpoLoss loss({.beta = r["config"]["beta"],
                          .eta = r["config"]["eta"],
                          .reduction = r["variant"] == "sum" ? "sum" : "seq_mean"});
      CHECK(difference({evaluate(loss, t.batch).loss}, {number(r["loss"])}) == "");
      CHECK(difference(numbers(t.logits.grad()), flat(r["grad_logits"])) == "");
      CHECK(difference(sums_of(t.batch, &ResponseSide::logps), flat(c["logps"])) == "");
      CHECK(difference(sums_of(t.batch, &ResponseSide::ref_logps), flat(c["ref_logps"])) == "");
    }
  }
}

TEST_CASE("dpo: CREAM's soft labels on sums", "[golden][losses][cream]") {
  const json file = golden("cream.json");
  for (const json& c : file["loss_sums"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["method"] << " " << r["beta"]);
      PreferenceBatch batch = plain_sums_batch(c);
      CHECK((r["method"] == "original" || r["method"] == "consistency_avg" ||
             r["method"] == "consistency_dyn"));
      // `original` ignores the labels.
      if (r["method"] != "original") batch.label = vector(flat(r["label"]));
      const Evaluation got = evaluate(DpoLoss({.beta = r["beta"]}), batch);
      CHECK(difference({got.loss}, {number(r["loss"])}) == "");
      CHECK(difference(got.pair_loss, flat(r["loss_per_pair"])) == "");
      CHECK(difference(sum_gradients(batch.chosen), flat(r["grad_chosen"])) == "");
      CHECK(difference(sum_gradients(batch.rejected), flat(r["grad_rejected"])) == "");
    }
  }
}

TEST_CASE("dpo: CREAM's loss from logits", "[golden][losses][cream]") {
  const json file = golden("cream.json");
  for (const json& c : file["loss_tokens"]) {
    TokenCase t = token_case(c, c["pad_id"]);
    t.batch.label = vector(flat(c["label"]));
    const Evaluation got = evaluate(DpoLoss({.beta = c["beta"]}), t.batch);
    CHECK(difference({got.loss}, {number(c["loss"])}) == "");
    CHECK(difference(numbers(t.logits.grad()), flat(c["grad_logits"])) == "");
    CHECK(difference(sums_of(t.batch, &ResponseSide::logps), flat(c["policy_logps"])) == "");
    CHECK(difference(sums_of(t.batch, &ResponseSide::ref_logps), flat(c["ref_logps"])) == "");
  }
}

TEST_CASE("genarm: official reward-model loss", "[golden][losses][genarm]") {
  const json file = golden("genarm.json");
  for (const json& c : file["losses"]) {
    for (const json& r : c["results"]) {
      INFO(c["name"] << " " << r["config"]);
      const json& config = r["config"];
      const std::string type = config.value("loss_type", "sigmoid");
      CHECK((type == "sigmoid" || type == "hinge"));
      check_sums(GenarmLoss({.beta = config["beta"],
                             .gamma = config.value("gamma", 0.0),
                             .loss_type = type,
                             .label_smoothing = config.value("label_smoothing", 0.0)}),
                 c, r);
    }
  }
}
