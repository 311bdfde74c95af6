// Every loss, loss type, divergence and modifier from the command line to an optimizer step.
#include <cmath>

#include "core/error.hpp"
#include "pipeline/loop.hpp"
#include "tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Options = std::vector<std::string>;

/// One row per loss and per option that takes it elsewhere. All TRL loss types are here by name.
std::vector<std::pair<std::string, Options>> variants() {
  std::vector<std::pair<std::string, Options>> all;
  const auto dpo = [&](const std::string& type, Options more = {}) {
    more.push_back("--dpo.loss_type=" + type);
    all.emplace_back("dpo " + type, more);
  };
  for (const char* type :
       {"sigmoid", "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "aot", "aot_unpaired",
        "apo_zero", "apo_down", "discopop", "sft", "sigmoid_norm", "ipo_sum"})
    dpo(type);
  for (const char* type : {"exo_pair", "robust", "cdpo"}) dpo(type, {"--dpo.label_smoothing=0.1"});
  dpo("sigmoid, bco_pair, sft", {"--dpo.loss_weights=0.8, 0.2, 1"});
  for (const char* name : {"forward_kl", "js_divergence", "alpha_divergence"})
    all.push_back({cat("dpo ", name), {cat("--dpo.f_divergence_type=", name)}});
  all.push_back({"soft labels", {"--pair.soft_label=0.7"}});
  all.push_back({"reference free", {"--dpo.reference_free=true"}});
  all.push_back({"wpo", {"--dpo.use_weighting=true"}});
  all.push_back({"ld-dpo", {"--dpo.ld_alpha=0.5"}});
  all.push_back({"shift", {"--dpo.dpo_lambda=0.75"}});
  all.push_back({"shift up", {"--dpo.dpo_lambda_strategy=increase_linear"}});
  const auto named = [&](const std::string& loss, Options more = {}) {
    more.push_back("--loss.name=" + loss);
    all.emplace_back(loss, more);
  };
  for (const char* loss :
       {"rrpo", "simpo", "ipo", "cdpo", "tdpo", "orpo", "kto", "bco", "sft", "genarm"})
    named(loss);
  named("ipo", {"--ipo.length_normalization=false"});
  named("tdpo", {"--tdpo.if_tdpo2=false"});
  named("kto", {"--kto.loss_type=apo_zero_unpaired"});
  for (const char* reduction : {"sum", "seq_mean", "token_mean"}) {
    for (const char* baseline : {"chosen", "gold"})
      named("rpo", {cat("--rpo.reduction=", reduction), cat("--rpo.baseline=", baseline)});
  }
  for (const char* distance : {"bwd_kl", "fwd_kl", "sq"})
    named("rapo", {cat("--rapo.distance=", distance), "--rapo.reward_scale=0.1"});
  for (const char* loss : {"dpo", "rpo", "simpo", "ipo", "rrpo"})
    named(loss, {"--loss.modifier=treg"});
  named("dpo", {"--loss.modifier=elr", "--train.num_train_epochs=2"});
  named("dpo", {"--loss.modifier=reweight"});
  named("dpo", {"--loss.modifier=elr, treg, reweight"});
  return all;
}

TEST_CASE("losses: each of them trains from command line to optimizer step", "[pipeline][e2e]") {
  test::TinyRun tiny(3);
  int number = 0;
  for (const auto& [title, options] : variants()) {
    const std::filesystem::path folder = tiny.dir / ("run-" + std::to_string(++number));
    Options arguments{"--run.dir=" + folder.string(), "--run.iterations=1",
                      "--run.dtype=float32",          "--data.heldout=0",
                      "--rollout.max_new_tokens=8",   "--score.modules=length",
                      "--train.warmup_steps=0"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    INFO(title << " " << options.front());
    RunContext context(tiny.config(arguments));
    REQUIRE_NOTHROW(run_loop(context));
    auto steps = context.db.prepare("SELECT loss, grad_norm FROM steps");
    REQUIRE(steps.step());
    CHECK(std::isfinite(steps.real(0)));
    CHECK(steps.real(1) > 0.0);
    CHECK(tiny.count(context.db, "SELECT count(DISTINCT sha256) FROM checkpoints") == 2);
  }
}

}  // namespace
}  // namespace plumb
