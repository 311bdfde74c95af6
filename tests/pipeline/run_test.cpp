#include <fstream>

#include "core/error.hpp"
#include "pipeline/loop.hpp"
#include "pipeline/run_prompts.hpp"
#include "tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using test::TinyRun;

TEST_CASE("run: two iterations leave every row the loop promises", "[pipeline][unit]") {
  TinyRun tiny;
  RunContext context(tiny.config());
  run_loop(context);
  const store::Database& db = context.db;
  // 8 training prompts in two iterations of 4, 3 samples each; 4 held out, 2 samples, 2 suites, 3
  // policies.
  CHECK(tiny.count(db, "SELECT count(*) FROM samples WHERE suite='train'") == 8 * 3);
  CHECK(tiny.count(db, "SELECT count(*) FROM samples WHERE suite LIKE 'heldout%'") ==
        4 * 2 * 2 * 3);
  CHECK(tiny.count(db, "SELECT count(*) FROM rewards") == 2 * (24 + 48));
  CHECK(tiny.count(db, "SELECT count(*) FROM pairs") +
            tiny.count(db, "SELECT count(*) FROM pair_skips") ==
        8);
  CHECK(tiny.count(db, "SELECT count(*) FROM steps") >= 2);
  CHECK(tiny.count(db, "SELECT count(*) FROM step_pairs") ==
        tiny.count(db, "SELECT count(*) FROM pairs WHERE dropped IS NULL"));
  CHECK(tiny.count(db, "SELECT count(*) FROM checkpoints WHERE role='policy'") == 2);
  CHECK(tiny.count(db, "SELECT count(*) FROM iterations WHERE phase='done'") == 3);
  CHECK(tiny.count(db,
                   "SELECT count(*) FROM evaluations WHERE metric='reward/difference' AND "
                   "suite='heldout'") == 2);
  CHECK(store::find_run(db, "tiny")->status == "done");
  // The first step of an iteration starts at its reference.
  auto first = db.prepare("SELECT loss FROM steps WHERE global_step=1");
  REQUIRE(first.step());
  CHECK(std::abs(first.real(0) - std::log(2.0)) < 1e-5);
}

TEST_CASE("run: a second pair set stands beside the first over the same samples",
          "[pipeline][unit]") {
  TinyRun tiny;
  {
    RunContext context(tiny.config());
    run_loop(context);
  }
  RunContext context(tiny.config({"--pair.set=other", "--pair.rule=random"}), "pair");
  run_single_phase(context, "pair", 1);
  CHECK(tiny.count(context.db,
                   "SELECT count(DISTINCT pair_set_id) FROM pair_sets JOIN iterations "
                   "USING(iteration_id) WHERE idx=1") == 2);
  CHECK(tiny.count(context.db, "SELECT count(*) FROM samples WHERE suite='train'") == 24);
}

TEST_CASE("run: what had nothing to measure is not evaluated as zero", "[pipeline][unit]") {
  TinyRun tiny;
  // One response to a held-out prompt: no best and worst, so no change of their log-probs.
  RunContext context(tiny.config({"--run.iterations=1", "--eval.samples=1"}));
  run_loop(context);
  CHECK(tiny.count(context.db,
                   "SELECT count(*) FROM evaluations WHERE metric LIKE 'eval_logps/%'") == 0);
  CHECK(tiny.count(context.db, "SELECT count(*) FROM evaluations WHERE n=0") == 0);
}

TEST_CASE("run: unknown losses and rewards are refused before anything begins",
          "[pipeline][unit]") {
  TinyRun tiny;
  CHECK_THROWS_WITH(tiny.config({"--loss.name=dop"}), Catch::Matchers::Contains("dpo"));
  CHECK_THROWS_WITH(tiny.config({"--score.modules=r4", "--score.primary=r4"}),
                    Catch::Matchers::Contains("did you mean r3"));
}

TEST_CASE("run: a run that has sampled nothing may begin anew with other options",
          "[pipeline][unit]") {
  TinyRun tiny;
  {
    RunContext context(tiny.config({"--data.heldout=6"}));
    store_run_prompts(context);
  }
  RunContext context(tiny.config());
  store_run_prompts(context);
  CHECK(tiny.count(context.db, "SELECT count(*) FROM run_prompts WHERE use='heldout'") == 4);
  CHECK(tiny.count(context.db, "SELECT count(*) FROM runs") == 1);
}

TEST_CASE("run: other options on a begun run are refused by name", "[pipeline][unit]") {
  TinyRun tiny;
  {
    RunContext context(tiny.config({"--run.iterations=1"}));
    run_loop(context);
  }
  CHECK_THROWS_WITH(RunContext(tiny.config({"--rollout.temperature=0.5"})),
                    Catch::Matchers::Contains("rollout.temperature = 0.5 (the run has 1)"));
  CHECK_NOTHROW(RunContext(tiny.config({"--run.iterations=3"})));
}

TEST_CASE("run: changed weights of a finished iteration are noticed", "[pipeline][unit]") {
  TinyRun tiny;
  {
    RunContext context(tiny.config({"--run.iterations=1"}));
    run_loop(context);
  }
  const auto weights = tiny.dir.path() / "run/policy/iter-01/model.safetensors";
  std::fstream file(weights, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x7f');
  file.close();
  RunContext context(tiny.config({"--run.iterations=2"}));
  CHECK_THROWS_WITH(run_loop(context), Catch::Matchers::Contains("changed since they were saved"));
}

TEST_CASE(
    "run: prompts that are too long or unreadable stop the run, or are stored with their reason",
    "[pipeline][unit]") {
  TinyRun tiny;
  std::ofstream(tiny.dir / "prompts.jsonl", std::ios::app)
      << nlohmann::json{{"prompt", std::string(600, 'x')}, {"qtype", "open"}}.dump() << "\n{bad\n";
  {
    RunContext context(tiny.config());
    CHECK_THROWS_AS(store_run_prompts(context), DataError);
  }
  RunContext context(
      tiny.config({"--data.truncation=drop", "--data.bad_rows=skip", "--run.name=other"}));
  store_run_prompts(context);
  auto rows = context.db.prepare("SELECT line, reason FROM rejected_rows ORDER BY line");
  REQUIRE(rows.step());
  CHECK(rows.integer(0) == 13);
  CHECK_THAT(rows.text(1), Catch::Matchers::Contains("too_long"));
  REQUIRE(rows.step());
  CHECK(rows.integer(0) == 14);
  CHECK_THAT(rows.text(1), Catch::Matchers::Contains("bad_json"));
}

TEST_CASE("run: held-out prompts keep the shares of the kinds", "[pipeline][unit]") {
  TinyRun tiny;
  RunContext context(tiny.config());
  store_run_prompts(context);
  CHECK(tiny.count(context.db,
                   "SELECT count(*) FROM run_prompts JOIN prompts USING(prompt_id) WHERE "
                   "use='heldout' AND category='open'") == 2);
  CHECK(tiny.count(context.db,
                   "SELECT count(*) FROM run_prompts JOIN prompts USING(prompt_id) WHERE "
                   "use='heldout' AND category='constrained'") == 2);
}

}  // namespace
}  // namespace plumb
