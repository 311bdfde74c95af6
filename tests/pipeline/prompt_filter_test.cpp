#include "pipeline/prompt_filter.hpp"

#include "config/config.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "pipeline/loop.hpp"
#include "pipeline/phases.hpp"
#include "store/pairs.hpp"
#include "store/prompt_filter.hpp"
#include "store/rewards.hpp"
#include "support/files.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

std::string decision(const std::vector<double>& scores, const FilterLimits& limits) {
  return filter_reason(scores, limits).value_or("keep");
}

/// A tiny run whose prompts all come back in every iteration.
struct TinyRun {
  test::TempDir dir;
  TinyRun() {
    log::set_quiet(true);
    Progress::set_quiet(true);
    test::write_tiny_policy(dir / "policy");
    test::write_tiny_prompts(dir / "prompts.jsonl", 8);
    test::write_tiny_config(dir / "tiny.ini", dir.path());
  }
  RunConfig config(std::vector<std::string> arguments) const {
    Config config(run_option_table());
    config.load_file(dir / "tiny.ini");
    arguments.push_back("--data.prompts_per_iteration=6");
    arguments.push_back("--data.heldout=2");
    arguments.push_back("--filter.rule=rollout");
    config.load_command_line(arguments);
    return RunConfig::from(config.values());
  }
};

std::int64_t count(const store::Database& db, const std::string& sql) {
  auto query = db.prepare(sql);
  query.step();
  return query.integer(0);
}

}  // namespace

// Worked cases of the rule: threshold 0.5, spread 0.05.
TEST_CASE("filter: prompts without signal are told apart", "[pipeline][unit]") {
  const FilterLimits limits{0.5, 0.05};
  CHECK(decision({0, 0, 0, 0}, limits) == "hopeless");
  CHECK(decision({1, 1, 1, 1}, limits) == "flat");
  CHECK(decision({0, 1, 0, 0}, limits) == "keep");
  CHECK(decision({.2, .2, .3, .2}, limits) == "hopeless");
  CHECK(decision({.9, .1, .4, .6}, limits) == "keep");
  CHECK(decision({.7}, limits) == "too_few");
  CHECK(decision({}, limits) == "too_few");
  CHECK(decision({.5, .25}, {0.5, 0.25}) == "keep");  // both limits reached exactly
  CHECK(decision({.7, .7}, {0.5, 0.0}) == "flat");  // a spread limit of 0 still wants a difference
}

TEST_CASE("filter: limits come from all scores of the iteration", "[pipeline][unit]") {
  // numpy: quantile([1, 2, 3, 4, 10], .3) = 2.2, std = sqrt(10) = 3.16227766
  const std::vector<double> scores{10, 1, 3, 2, 4};
  FilterOptions options;
  const FilterLimits limits = filter_limits(scores, options);
  CHECK(limits.best == Approx(2.2));
  CHECK(limits.spread == Approx(0.05 * 3.1622776601683795));
  options.threshold = "value";
  options.best = 7;
  CHECK(filter_limits(scores, options).best == 7);
  CHECK(filter_limits({}, options).best == 0);
  options.threshold = "quantile";
  CHECK_THROWS_AS(filter_limits({}, options), UsageError);
}

TEST_CASE("filter: drops prompts, says why, and lets them rest until they are tried again",
          "[pipeline][unit]") {
  TinyRun tiny;
  // Length in words is the score. Half of the prompts have no response at the median or above.
  RunContext context(tiny.config({"--filter.best=0.9", "--filter.retry=3", "--filter.min_kept=0",
                                  "--run.iterations=3", "--eval.when=last"}));
  run_loop(context);
  const store::Database& db = context.db;
  const std::string in =
      " FROM prompt_filter JOIN pair_sets USING(pair_set_id) JOIN iterations "
      "USING(iteration_id) WHERE idx=";
  const auto rows = [&](int index, const std::string& condition) {
    return count(db, "SELECT count(*)" + in + std::to_string(index) + " AND " + condition);
  };
  for (const int index : {1, 2, 3}) CHECK(rows(index, "1") == 6);
  const std::int64_t dropped = rows(1, "reason IN('hopeless', 'flat')");
  REQUIRE(dropped > 0);
  REQUIRE(dropped < 6);
  CHECK(rows(2, "reason='resting'") == dropped);
  CHECK(rows(2, "reason='resting' AND n=0") == dropped);
  CHECK(rows(3, "reason='resting'") == 0);  // every third iteration tries all
  CHECK(count(db,
              "SELECT count(*) FROM samples JOIN iterations USING(iteration_id) WHERE "
              "suite='train' AND idx=2") == 3 * (6 - dropped));
  CHECK(count(db,
              "SELECT count(*) FROM samples JOIN iterations USING(iteration_id) WHERE "
              "suite='train' AND idx=3") == 3 * 6);
  // A dropped prompt gave no pair and stands among the skips with its reason.
  CHECK(count(db,
              "SELECT count(*) FROM prompt_filter f JOIN pairs q USING(pair_set_id, prompt_id) "
              "WHERE f.reason IS NOT NULL") == 0);
  CHECK(count(db,
              "SELECT count(*) FROM prompt_filter f JOIN pair_skips k USING(pair_set_id, "
              "prompt_id) WHERE f.reason=k.reason") == rows(1, "reason IS NOT NULL") +
                                                           rows(2, "reason IS NOT NULL") +
                                                           rows(3, "reason IS NOT NULL"));
  // Statistics are those of the stored scores.
  CHECK(count(db,
              "SELECT count(*) FROM prompt_filter f JOIN pair_sets t USING(pair_set_id) WHERE "
              "f.n>0 AND f.best=(SELECT max(r.score) FROM samples s JOIN rewards r "
              "USING(sample_id) JOIN reward_modules m USING(module_id) WHERE m.name='length' AND "
              "s.suite='train' AND s.iteration_id=t.iteration_id AND "
              "s.prompt_id=f.prompt_id)") ==
        count(db, "SELECT count(*) FROM prompt_filter WHERE n>0"));
}

TEST_CASE("filter: a run that keeps hardly any prompt stops and can be told to go on",
          "[pipeline][unit]") {
  TinyRun tiny;
  const std::vector<std::string> strict{"--filter.threshold=value", "--filter.best=1000",
                                        "--run.iterations=1"};
  {
    RunContext context(tiny.config(strict));
    CHECK_THROWS_WITH(run_loop(context), Catch::Matchers::Contains("keeps 0 of 6 prompts") &&
                                             Catch::Matchers::Contains("6 hopeless"));
    CHECK(count(context.db, "SELECT count(*) FROM prompt_filter") == 6);  // there to be looked at
  }
  RunContext context(tiny.config({strict[0], strict[1], strict[2], "--filter.min_kept=0"}));
  CHECK_NOTHROW(run_single_phase(context, "pair", 1));
}

TEST_CASE("filter: another module may decide, if it has scored", "[pipeline][unit]") {
  TinyRun tiny;
  CHECK_THROWS_AS(tiny.config({"--filter.module=lenght"}), UsageError);
  CHECK_THROWS_AS(tiny.config({"--filter.best=2"}), UsageError);
  RunContext context(tiny.config({"--filter.module=repetition", "--run.iterations=1"}));
  CHECK_THROWS_WITH(run_loop(context), Catch::Matchers::Contains("filter.module = repetition"));
}

}  // namespace plumb
