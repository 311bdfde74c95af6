// TRL's BCO and KTO on unpaired examples against losses_trl.json.
#include <ATen/ops/cat.h>

#include "golden_batches.hpp"
#include "losses/bco.hpp"
#include "losses/kto.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::test;
using nlohmann::json;

namespace {

/// TRL's running mean and spread of rewards: batches enter with their float32 mean and variance.
struct RunningMoments {
  double mean = 0.0, variance = 1.0, count = 1e-24, std = 1.0;

  void add(const at::Tensor& rewards) {
    const auto n = static_cast<double>(rewards.numel());
    const double batch_mean = rewards.mean().item<double>();
    const double batch_variance = rewards.var(0, false).item<double>();
    const double delta = batch_mean - mean, total = count + n;
    const double square = batch_variance * n + variance * count + delta * delta * count * n / total;
    mean += delta * n / total;
    variance = square / total;
    std = std::sqrt(square / total * total / (total - 1));
    count = total;
  }
};

}  // namespace

TEST_CASE("bco: running baseline of TRL 1.12", "[golden][losses][bco]") {
  const json file = golden("losses_trl.json");
  const double beta = file["header"].value("bco_beta", 0.1);
  RunningMoments running;
  for (const json& c : file["bco_running"]) {
    INFO("after " << running.count << " responses");
    at::Tensor chosen = vector(flat(c["chosen_logps"])).requires_grad_(true);
    at::Tensor rejected = vector(flat(c["rejected_logps"])).requires_grad_(true);
    const at::Tensor delta = vector({number(c["delta"])});
    const at::Tensor chosen_reward = (chosen - vector(flat(c["ref_chosen_logps"]))) * beta;
    const at::Tensor rejected_reward = (rejected - vector(flat(c["ref_rejected_logps"]))) * beta;
    const at::Tensor w = bco_chosen(chosen_reward, delta);
    const at::Tensor l = bco_rejected(rejected_reward, delta);
    Numbers terms = numbers(w);
    for (const double value : numbers(l)) terms.push_back(value);
    CHECK(difference(terms, flat(c["loss_per_term"])) == "");
    at::Tensor mean = (w.sum() + l.sum()) / static_cast<double>(terms.size());
    mean.backward();
    CHECK(difference({mean.item<double>()}, {number(c["loss"])}) == "");
    CHECK(difference(numbers(chosen.grad()), flat(c["grad_chosen"])) == "");
    CHECK(difference(numbers(rejected.grad()), flat(c["grad_rejected"])) == "");

    // TRL's baseline is the mean over the run so far. Ours is the mean of the step alone, on
    // purpose: the two are equal in the first batch and nowhere else.
    const at::Tensor rewards = at::cat({chosen_reward, rejected_reward}).detach();
    const bool first = running.count < 1.0;
    running.add(rewards);
    CHECK(difference({running.mean, running.std, running.count},
                     {number(c["delta"]), number(c["running_std"]), number(c["running_count"])},
                     {1e-6, 1e-7}) == "");
    const double step_mean = rewards.mean().item<double>();
    CHECK((std::abs(step_mean - number(c["delta"])) < 1e-6) == first);
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

      // TRL takes the baseline from mismatched completions, we from the other side of the pairs: as
      // that side, the mismatched completions must give TRL's number.
      const json mismatched{{"chosen_logps", c["kl_logps"]},
                            {"ref_chosen_logps", c["ref_kl_logps"]},
                            {"rejected_logps", c["kl_logps"]},
                            {"ref_rejected_logps", c["ref_kl_logps"]}};
      const KtoLoss loss({.loss_type = r["loss_type"]});
      const auto metrics = evaluate(loss, plain_sums_batch(mismatched)).metrics;
      if (r["loss_type"] == "kto") {
        CHECK(difference({metrics.at("kto/baseline_rejected")}, {kl}) == "");
      } else {
        CHECK(r["loss_type"] == "apo_zero_unpaired");
        CHECK(kl == 0.0);
        CHECK_FALSE(metrics.contains("kto/baseline_rejected"));
      }
    }
  }
}
