#include "train/trainer.hpp"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "core/error.hpp"
#include "losses/registry.hpp"
#include "support/files.hpp"
#include "support/tiny_model.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

std::vector<float> logps_of(const Decoder& model, const std::vector<std::int32_t>& prompt,
                            const std::vector<std::int32_t>& response) {
  const at::NoGradGuard no_grad;
  RaggedBuilder builder;
  builder.want_logprobs(builder.add(response, builder.add(prompt)));
  const at::Tensor logps = model.token_stats(builder.batch(), builder.rows()).logprobs.contiguous();
  return {logps.const_data_ptr<float>(), logps.const_data_ptr<float>() + logps.numel()};
}

/// A policy, and pairs whose reference is that policy.
struct Setup {
  ModelConfig config = test::tiny_config();
  Decoder policy{config, test::random_weights(config), kernels::Precision::kFloat32, true};
  std::vector<TrainingPair> pairs;

  explicit Setup(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      TrainingPair pair;
      pair.id = static_cast<std::int64_t>(100 + i);
      pair.prompt = test::random_ids(config, 3 + i % 4, 10 + i);
      pair.chosen.ids = test::random_ids(config, 2 + i % 5, 20 + i);
      pair.rejected.ids = test::random_ids(config, 1 + i % 3, 30 + i);
      pair.chosen.ref_logps = logps_of(policy, pair.prompt, pair.chosen.ids);
      pair.rejected.ref_logps = logps_of(policy, pair.prompt, pair.rejected.ids);
      pairs.push_back(std::move(pair));
    }
  }
};

TrainOptions options_with(std::int64_t batch_size, std::int64_t micro_batch_tokens) {
  TrainOptions options;
  options.learning_rate = 1e-3;
  options.warmup_steps = 0;
  options.lr_scheduler_type = "constant";
  options.batch_size = batch_size;
  options.micro_batch_tokens = micro_batch_tokens;
  options.num_train_epochs = 3;
  return options;
}

std::vector<StepResult> train(Setup& setup, const PreferenceLoss& loss, const TrainOptions& options,
                              std::int64_t steps) {
  Trainer trainer(setup.policy, loss, options, setup.pairs, 5);
  std::vector<StepResult> results;
  for (std::int64_t i = 0; i < steps; ++i) results.push_back(trainer.step());
  return results;
}

double metric(const StepResult& result, const std::string& name) {
  for (const auto& [key, value] : result.metrics) {
    if (key == name) return value;
  }
  return std::nan("");
}

TEST_CASE("trainer: the first DPO step is worth ln 2 with no margin", "[train][unit]") {
  Setup setup(6);
  const auto loss = make_loss("dpo", OptionValues{});
  const StepResult first = train(setup, *loss, options_with(6, 1000), 1).front();
  CHECK(std::abs(first.loss - std::log(2.0)) < 1e-6);
  CHECK(std::abs(metric(first, "rewards/margins")) < 1e-6);
  CHECK(first.max_reference_gap < 1e-5);
  CHECK(first.pairs.size() == 6);
}

TEST_CASE("trainer: training lowers the loss", "[train][unit]") {
  Setup setup(4);
  const auto loss = make_loss("dpo", OptionValues{});
  const auto results = train(setup, *loss, options_with(4, 1000), 3);
  CHECK(results[1].loss < results[0].loss);
  CHECK(results[2].loss < results[1].loss);
  CHECK(metric(results[2], "rewards/margins") > 0.0);
}

TEST_CASE("trainer: how a step is cut into micro-batches does not matter", "[train][unit]") {
  const std::string name = GENERATE("dpo", "simpo", "orpo", "kto");
  const auto loss = make_loss(name, OptionValues{});
  std::vector<std::vector<StepResult>> runs;
  for (const std::int64_t tokens : {1000, 25, 1}) {
    Setup setup(8);
    runs.push_back(train(setup, *loss, options_with(8, tokens), 3));
  }
  for (std::size_t step = 0; step < 3; ++step) {
    for (std::size_t i = 1; i < runs.size(); ++i) {
      INFO(name << ", step " << step);
      CHECK(std::abs(runs[i][step].loss - runs[0][step].loss) < 1e-5);
      CHECK(std::abs(runs[i][step].grad_norm - runs[0][step].grad_norm) <
            1e-5 * (1.0 + runs[0][step].grad_norm));
    }
  }
}

TEST_CASE("trainer: what a loss notes of a pair comes back at its next visit, and after a resume",
          "[train][unit]") {
  const std::string modifier = GENERATE("elr", "elr, reweight");  // alone, and over a whole step
  OptionValues values;
  values.set("loss.modifier", modifier, "test");
  const auto loss = make_loss("dpo", values);
  const TrainOptions options = options_with(4, 25);
  test::TempDir dir;
  Setup whole(6), first(6), second(6);
  Trainer uninterrupted(whole.policy, *loss, options, whole.pairs, 5);
  std::vector<StepResult> steps;
  while (uninterrupted.steps_done() < uninterrupted.total_steps())
    steps.push_back(uninterrupted.step());
  // The first visit only sets the target: the regulariser begins with the second epoch.
  REQUIRE(steps.size() == 6);
  CHECK(metric(steps[0], "elr/regulariser") == 0.0);
  CHECK(metric(steps[1], "elr/regulariser") == 0.0);
  CHECK(metric(steps[2], "elr/regulariser") < 0.0);

  Trainer before(first.policy, *loss, options, first.pairs, 5);
  for (int i = 0; i < 3; ++i) before.step();
  before.save_state(dir / "state");
  Trainer after(second.policy, *loss, options, second.pairs, 5);
  after.load_state(dir / "state");
  for (std::size_t i = 3; i < 6; ++i) {
    const StepResult result = after.step();
    CHECK(result.loss == steps[i].loss);
    CHECK(metric(result, "elr/regulariser") == metric(steps[i], "elr/regulariser"));
  }
  for (std::size_t i = 0; i < whole.policy.parameters().size(); ++i)
    CHECK(whole.policy.parameters()[i].value.equal(second.policy.parameters()[i].value));
}

TEST_CASE("trainer: gold answers and missing sides, however a step is cut", "[train][unit]") {
  const std::string name = GENERATE("rpo", "sft");
  OptionValues values;
  values.set("rpo.baseline", "gold", "test");
  values.set("rpo.reduction", "token_mean", "test");
  values.set("rpo.eta", "0.5", "test");
  const auto loss = make_loss(name, values);
  std::vector<double> losses, norms;
  for (const std::int64_t tokens : {1000, 1}) {
    Setup setup(5);
    for (std::size_t i = 0; i < setup.pairs.size(); ++i) {
      if (name == "sft") setup.pairs[i].rejected = {};
      if (name == "rpo" && i > 0)
        setup.pairs[i].baseline = test::random_ids(setup.config, 2 + i, 70 + i);
    }
    const StepResult result = train(setup, *loss, options_with(5, tokens), 1).front();
    losses.push_back(result.loss);
    norms.push_back(result.grad_norm);
    if (name == "rpo") {
      CHECK(metric(result, "rpo/gold_share") == Approx(0.8));
      double nll = 0.0, count = 0.0;
      Setup fresh(5);
      for (std::size_t i = 1; i < 5; ++i) {
        for (const float value :
             logps_of(fresh.policy, setup.pairs[i].prompt, setup.pairs[i].baseline)) {
          nll -= value;
          count += 1.0;
        }
      }
      CHECK(result.loss == Approx(std::log(2.0) + 0.5 * nll / count).epsilon(1e-5));
    }
  }
  CHECK(losses[0] == Approx(losses[1]).epsilon(1e-6));
  CHECK(norms[0] == Approx(norms[1]).epsilon(1e-5));
}

TEST_CASE("trainer: save, resume and go on gives the same bits", "[train][unit]") {
  const auto loss = make_loss("dpo", OptionValues{});
  const TrainOptions options = options_with(2, 1000);
  test::TempDir dir;
  Setup whole(6), first(6), second(6);
  Trainer uninterrupted(whole.policy, *loss, options, whole.pairs, 5);
  Trainer before(first.policy, *loss, options, first.pairs, 5);
  for (int i = 0; i < 4; ++i) before.step();
  before.save_state(dir / "state");
  Trainer after(second.policy, *loss, options, second.pairs, 5);
  after.load_state(dir / "state");
  CHECK(after.steps_done() == 4);
  for (int i = 0; i < 7; ++i) uninterrupted.step();
  for (int i = 0; i < 3; ++i) after.step();
  for (std::size_t i = 0; i < whole.policy.parameters().size(); ++i) {
    CHECK(whole.policy.parameters()[i].value.equal(second.policy.parameters()[i].value));
  }

  Setup other(5);
  Trainer other_plan(other.policy, *loss, options, other.pairs, 5);
  CHECK_THROWS_AS(other_plan.load_state(dir / "state"), DataError);
}

TEST_CASE("trainer: every pair is visited once an epoch, in an order of its own", "[train][unit]") {
  Setup setup(5);
  const auto loss = make_loss("dpo", OptionValues{});
  const auto results = train(setup, *loss, options_with(2, 1000), 6);
  std::vector<std::int64_t> first, second;
  for (int i = 0; i < 3; ++i) {
    for (const auto& pair : results[i].pairs) first.push_back(pair.id);
    for (const auto& pair : results[i + 3].pairs) second.push_back(pair.id);
  }
  CHECK(first != second);
  std::sort(first.begin(), first.end());
  CHECK(first == std::vector<std::int64_t>{100, 101, 102, 103, 104});
  CHECK(results[2].pairs.size() == 1);
  CHECK(results[2].epoch == 1.0);
}

TEST_CASE("trainer: a NaN weight stops with the step and its pairs named, nothing updated",
          "[train][unit]") {
  Setup setup(2);
  const auto loss = make_loss("dpo", OptionValues{});
  setup.policy.parameters()[3].value.view(-1)[0] = std::nan("");
  setup.policy.refresh();
  const at::Tensor before = setup.policy.parameters()[0].value.clone();
  Trainer trainer(setup.policy, *loss, options_with(2, 1000), setup.pairs, 5);
  CHECK_THROWS_WITH(trainer.step(),
                    Catch::Matchers::Contains("step 1") && Catch::Matchers::Contains("100"));
  CHECK(setup.policy.parameters()[0].value.equal(before));
}

TEST_CASE("trainer: wrong lengths of stored values are refused with the pair named",
          "[train][unit]") {
  Setup setup(1);
  setup.pairs[0].chosen.ref_logps.pop_back();
  const auto loss = make_loss("dpo", OptionValues{});
  Trainer trainer(setup.policy, *loss, options_with(1, 1000), setup.pairs, 5);
  CHECK_THROWS_WITH(trainer.step(), Catch::Matchers::Contains("pair 100"));
}

}  // namespace
}  // namespace plumb
