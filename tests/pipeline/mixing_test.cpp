#include <cmath>
#include <map>

#include "core/error.hpp"
#include "pipeline/loop.hpp"
#include "pipeline/phases.hpp"
#include "store/consistency.hpp"
#include "store/pairs.hpp"
#include "store/rewards.hpp"
#include "store/samples.hpp"
#include "tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Arguments = std::vector<std::string>;

const Arguments kMix{"--run.iterations=1", "--score.modules=length, repetition",
                     "--score.primary=length", "--pair.module=length, repetition",
                     "--pair.weights=1, -2"};

Arguments mix(const Arguments& more) {
  Arguments all = kMix;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

/// (score - mean) / (standard deviation + 1e-6), or zeros.
std::vector<double> standardised(const std::vector<double>& scores) {
  double mean = 0, square = 0;
  for (const double score : scores) mean += score / static_cast<double>(scores.size());
  for (const double score : scores)
    square += (score - mean) * (score - mean) / static_cast<double>(scores.size());
  std::vector<double> out;
  for (const double score : scores)
    out.push_back(std::sqrt(square) < 1e-8 ? 0 : (score - mean) / (std::sqrt(square) + 1e-6));
  return out;
}

struct MixedRun {
  test::TinyRun tiny;
  RunContext context;
  store::Iteration iteration;
  explicit MixedRun(const Arguments& arguments) : context(tiny.config(arguments)) {
    run_loop(context);
    iteration = *store::find_iteration(context.db, context.run.id, 1);
  }
  std::int64_t module(const std::string& name) const {
    return *store::find_reward_module(context.db, iteration.id, name);
  }
  /// Makes a score missing, as a module that failed leaves it.
  void fail(std::int64_t sample_id, const std::string& name) {
    store::RewardRow row;
    row.sample_id = sample_id;
    row.module_id = module(name);
    row.error = "out of luck";
    store::add_reward(context.db, row);
  }
};

TEST_CASE("mixing: pairs go by the weighted z-scores of several modules",
          "[pipeline][mixing][unit]") {
  const MixedRun run(kMix);
  std::map<std::int64_t, std::vector<std::int64_t>> by_prompt;
  for (const auto& sample : store::samples(run.context.db, run.iteration.id, "train"))
    by_prompt[sample.prompt_id].push_back(sample.id);
  const auto set = store::find_pair_set(run.context.db, run.iteration.id, "train");
  CHECK_FALSE(set->module_id);
  const auto pairs = store::active_pairs(run.context.db, set->id);
  REQUIRE(pairs.size() >= 3);
  for (const store::PairRow& pair : pairs) {
    const auto& ids = by_prompt[pair.prompt_id];
    std::vector<double> length, repetition;
    for (const std::int64_t id : ids) {
      length.push_back(*store::find_score(run.context.db, id, run.module("length")));
      repetition.push_back(*store::find_score(run.context.db, id, run.module("repetition")));
    }
    const auto a = standardised(length), b = standardised(repetition);
    std::map<std::int64_t, double> mixed;
    for (std::size_t i = 0; i < ids.size(); ++i) mixed[ids[i]] = a[i] - 2 * b[i];
    for (const auto& [id, score] : mixed) {
      CHECK(mixed[pair.chosen_id] >= score);
      CHECK(mixed[pair.rejected_id] <= score);
    }
    CHECK(pair.margin == Approx(mixed[pair.chosen_id] - mixed[pair.rejected_id]));
  }
}

TEST_CASE("mixing: the agreement of every two modules is stored", "[pipeline][mixing][unit]") {
  const MixedRun run(kMix);
  const auto rows = store::consistency(run.context.db, run.iteration.id, "kendall");
  CHECK(rows.size() == 8);
  for (const auto& row : rows) {
    CHECK(row.ranker_a == "module:length");
    CHECK(row.ranker_b == "module:repetition");
    CHECK(row.value >= 0);
    CHECK(row.value <= 1);
  }
}

TEST_CASE("mixing: a module that weighs nothing decides nothing, missing or not",
          "[pipeline][mixing][unit]") {
  MixedRun run(mix({"--pair.weights=1, 0", "--pair.set=other"}));
  const auto before = store::active_pairs(
      run.context.db, store::find_pair_set(run.context.db, run.iteration.id, "other")->id);
  for (const auto& sample : store::samples(run.context.db, run.iteration.id, "train"))
    run.fail(sample.id, "repetition");
  // One score must be left for the module to have scored the iteration.
  const auto last = store::samples(run.context.db, run.iteration.id, "train").back().id;
  store::RewardRow row;
  row.sample_id = last;
  row.module_id = run.module("length") == 1 ? 2 : 1;
  row.score = 1.0;
  store::add_reward(run.context.db, row);
  run_pair_phase(run.context, run.iteration);
  const auto after = store::active_pairs(
      run.context.db, store::find_pair_set(run.context.db, run.iteration.id, "other")->id);
  REQUIRE(after.size() == before.size());
  for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i].chosen_id == before[i].chosen_id);
}

TEST_CASE(
    "mixing: a response without a score stays out of pairs and is tried again, in finished "
    "iterations as well",
    "[pipeline][mixing][unit]") {
  MixedRun run(kMix);
  const auto pairs = store::active_pairs(
      run.context.db, store::find_pair_set(run.context.db, run.iteration.id, "train")->id);
  const std::int64_t best = pairs.front().chosen_id;
  run.fail(best, "repetition");
  run_pair_phase(run.context, run.iteration);
  for (const auto& pair : store::active_pairs(
           run.context.db, store::find_pair_set(run.context.db, run.iteration.id, "train")->id)) {
    CHECK(pair.chosen_id != best);
    CHECK(pair.rejected_id != best);
  }
  // An evaluation that lacked a score is computed again.
  const auto heldout = store::samples(run.context.db, run.iteration.id, "heldout");
  const auto reward = [&] {
    auto query = run.context.db.prepare(
        "SELECT value FROM evaluations WHERE iteration_id=? AND suite='heldout' AND "
        "metric='reward/mean'");
    REQUIRE(query.bind(run.iteration.id).step());
    return query.real(0);
  };
  const double whole = reward();
  run.fail(heldout.front().id, "length");
  run_eval_phase(run.context, run.iteration);  // scores it at once: the phase is asked for
  CHECK(reward() == whole);
  run.fail(heldout.front().id, "length");
  run.context.db.prepare("UPDATE evaluations SET value=0 WHERE metric='reward/mean'").run();
  run_loop(run.context);
  CHECK(run.tiny.count(run.context.db, "SELECT count(*) FROM rewards WHERE score IS NULL") == 0);
  CHECK(reward() == whole);
}

TEST_CASE("mixing: what does not fit is refused", "[pipeline][mixing][unit]") {
  const test::TinyRun tiny;
  CHECK_THROWS_WITH(tiny.config(mix({"--pair.weights=1"})),
                    Catch::Matchers::Contains("1 given for 2 modules"));
  CHECK_THROWS_WITH(tiny.config({"--pair.rule=borda"}), Catch::Matchers::Contains("at least two"));
  CHECK_THROWS_WITH(tiny.config(mix({"--pair.rule=borda", "--pair.committee_quota=length"})),
                    Catch::Matchers::Contains("chamberlin_courant"));
  CHECK_THROWS_WITH(tiny.config({"--pair.module=lenght"}),
                    Catch::Matchers::Contains("did you mean length"));
}

}  // namespace
}  // namespace plumb
