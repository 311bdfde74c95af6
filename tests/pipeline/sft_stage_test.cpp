#include "pipeline/sft_stage.hpp"

#include <fstream>

#include "core/error.hpp"
#include "pipeline/loop.hpp"
#include "tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using test::TinyRun;

std::vector<std::string> with_sft(const TinyRun& tiny, std::vector<std::string> more = {}) {
  more.insert(more.end(),
              {"--sft.data=" + (tiny.dir / "answers.jsonl").string(), "--sft.batch_size=2",
               "--sft.learning_rate=5e-3", "--sft.num_train_epochs=4", "--run.iterations=1"});
  return more;
}

TEST_CASE("sft: the loop begins with what the supervised stage made of the base model",
          "[pipeline][unit]") {
  TinyRun tiny;
  test::write_tiny_answers(tiny.dir / "answers.jsonl", 4);
  std::int64_t initial = 0, base = 0;
  {
    RunContext context(tiny.config(with_sft(tiny)));
    run_loop(context);
    initial = context.initial_checkpoint();
    base = context.base_checkpoint();
    const auto zero = *store::find_iteration(context.db, context.run.id, 0);
    const auto first = *store::find_iteration(context.db, context.run.id, 1);
    CHECK(zero.policy_checkpoint_id == base);
    CHECK(zero.result_checkpoint_id == initial);
    CHECK(first.policy_checkpoint_id == initial);
    CHECK(first.reference_checkpoint_id == initial);
    const auto row = *store::find_checkpoint(context.db, initial);
    CHECK(row.parent_id == base);
    CHECK(row.global_step == 8);
    auto losses = context.db.prepare(
        "SELECT loss FROM steps JOIN iterations USING(iteration_id) WHERE idx=0 ORDER BY "
        "global_step");
    std::vector<double> values;
    while (losses.step()) values.push_back(losses.real(0));
    REQUIRE(values.size() == 8);
    CHECK(values[0] == Approx(std::log(259.0)).margin(0.5));  // a random model over 259 tokens
    CHECK(values[7] < values[0] - 0.3);
    // The loop's steps are numbered on from there, and its first loss is measured at the reference.
    auto step = context.db.prepare("SELECT loss FROM steps WHERE global_step=9");
    REQUIRE(step.step());
    CHECK(step.real(0) == Approx(std::log(2.0)).margin(1e-5));
    // The start that evaluations compare with is the policy after the stage.
    CHECK(tiny.count(context.db,
                     "SELECT count(*) FROM samples s JOIN iterations i "
                     "USING(iteration_id) WHERE idx=0 AND s.checkpoint_id<>" +
                         std::to_string(initial)) == 0);
  }
  RunContext again(tiny.config(with_sft(tiny)));
  CHECK(again.initial_checkpoint() == initial);
  CHECK(again.base_checkpoint() == base);
}

TEST_CASE("sft: rows that cannot be used stop the run, or are stored with their reason",
          "[pipeline][unit]") {
  TinyRun tiny;
  test::write_tiny_answers(tiny.dir / "answers.jsonl", 2);
  std::ofstream(tiny.dir / "answers.jsonl", std::ios::app)
      << nlohmann::json{{"prompt", "Long?"}, {"completion", std::string(300, 'x')}}.dump()
      << "\n{bad\n";
  const std::vector<std::string> length{"--train.max_length=200", "--data.heldout=0"};
  {
    auto options = length;
    options.push_back("--data.bad_rows=skip");
    RunContext context(tiny.config(with_sft(tiny, options)));
    CHECK_THROWS_WITH(run_loop(context), Catch::Matchers::Contains("train.max_length is 200"));
  }
  auto options = length;
  options.insert(options.end(), {"--data.bad_rows=skip", "--data.truncation=drop",
                                 "--run.dir=" + (tiny.dir / "second").string()});
  RunContext context(tiny.config(with_sft(tiny, options)));
  run_loop(context);
  CHECK(tiny.count(context.db,
                   "SELECT count(*) FROM rejected_rows WHERE file LIKE '%answers%' AND "
                   "(reason LIKE 'too_long%' OR reason LIKE 'bad_json%')") == 2);
  CHECK(tiny.count(context.db,
                   "SELECT count(*) FROM events WHERE kind='sft' AND message LIKE "
                   "'%2 rows, %2 rows left out'") == 1);
}

}  // namespace
}  // namespace plumb
