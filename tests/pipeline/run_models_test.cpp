#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "pipeline/loop.hpp"
#include "store/rewards.hpp"
#include "tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

const std::vector<std::string> kWithCream{"--score.modules=length, cream",
                                          "--score.primary=length"};

std::string content_hash(const store::Database& db, std::int64_t module_id) {
  auto query = db.prepare("SELECT config->>'$.content_hash' FROM reward_modules WHERE module_id=?");
  REQUIRE(query.bind(module_id).step());
  return query.text(0);
}

TEST_CASE("run models: names stand for the iteration's checkpoints, and the hash says which",
          "[pipeline][unit]") {
  test::TinyRun tiny;
  std::vector<std::string> arguments = kWithCream;
  arguments.insert(arguments.end(), {"--run.iterations=3", "--data.prompts_per_iteration=4"});
  RunContext context(tiny.config(arguments));
  run_loop(context);
  const auto iteration = [&](int index) {
    return *store::find_iteration(context.db, context.run.id, index);
  };
  const auto sha = [&](std::int64_t checkpoint) {
    return store::find_checkpoint(context.db, checkpoint)->sha256;
  };
  const std::string initial = sha(context.initial_checkpoint());
  const std::string trained = sha(*iteration(2).policy_checkpoint_id);
  REQUIRE(trained != initial);
  const auto module_of = [&](int index) {
    return *store::find_reward_module(context.db, iteration(index).id, "cream");
  };
  CHECK(content_hash(context.db, module_of(1)) == initial + "-" + initial + "-" + initial);
  CHECK(content_hash(context.db, module_of(2)) == trained + "-" + initial + "-" + initial);
  const std::string later = sha(*iteration(3).policy_checkpoint_id);
  CHECK(content_hash(context.db, module_of(3)) == later + "-" + initial + "-" + trained);

  const RunContext::Module& first = context.reward("cream", iteration(1));
  CHECK(first.id == module_of(1));
  CHECK(context.reward("cream", iteration(2)).id == module_of(2));
  // Scores of the second iteration: sampled by the trained policy, so its own log-probs are known.
  for (const auto& [sample_id, score] :
       store::scores(context.db, iteration(2).id, "train", module_of(2))) {
    const auto components = store::rewards_of_sample(context.db, sample_id).back().components;
    const double logprob = nlohmann::json::parse(components).at("logprob");
    auto sampled = context.db.prepare("SELECT logp_policy FROM samples WHERE sample_id=?");
    REQUIRE(sampled.bind(sample_id).step());
    CHECK(logprob == Approx(sampled.real(0)).margin(1e-3));
  }
}

TEST_CASE("run models: the same weights are in memory once", "[pipeline][unit]") {
  test::TinyRun tiny;
  RunContext context(tiny.config());
  const std::int64_t initial = context.initial_checkpoint();
  const auto model = context.models().separate(initial);
  CHECK(context.models().separate(initial) == model);
  CHECK(context.language_model(initial)->decoder == model);
  const auto at_path = context.base_model_at((tiny.dir / "policy").string());
  REQUIRE(at_path);
  CHECK(at_path->decoder == model);
  CHECK_FALSE(context.base_model_at("/elsewhere"));
  // A policy that is trained is lent to nobody.
  Decoder& policy = context.trainable(initial);
  CHECK(context.models().frozen(initial).get() == &policy);
  const auto lent = context.models().frozen(initial);
  CHECK_THROWS(context.models().trainable(initial));
}

TEST_CASE("run models: an evaluation by models of the run judges both sides with the same ones",
          "[pipeline][unit]") {
  test::TinyRun tiny;
  RunContext context(tiny.config(
      {"--score.modules=length, cream", "--score.primary=cream", "--pair.module=length"}));
  run_loop(context);
  auto rows = context.db.prepare(
      "SELECT n FROM v_evaluations WHERE metric='reward/difference' AND suite='heldout' AND "
      "iteration=2");
  REQUIRE(rows.step());
  CHECK(rows.integer(0) == 4);
}

TEST_CASE("run models: a module that reads them changes nothing else", "[pipeline][unit]") {
  const auto weights = [](const std::vector<std::string>& arguments) {
    test::TinyRun tiny;
    RunContext context(tiny.config(arguments));
    run_loop(context);
    auto query = context.db.prepare("SELECT sha256 FROM checkpoints WHERE role='policy'");
    std::vector<std::string> all;
    while (query.step()) all.push_back(query.text(0));
    return all;
  };
  const auto plain = weights({});
  REQUIRE(plain.size() == 2);
  CHECK(weights(kWithCream) == plain);
}

}  // namespace
}  // namespace plumb
