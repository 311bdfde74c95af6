#include "pipeline/reference_answers.hpp"

#include <fstream>

#include "core/error.hpp"
#include "pipeline/loop.hpp"
#include "pipeline/run_prompts.hpp"
#include "pipeline/tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Catch::Matchers::Contains;

/// A tiny run on 12 prompts, of which the odd ones have a reference, and a file of answers to
/// numbers 0, 1, 2 and to a prompt that is not there.
struct AnsweredRun : test::TinyRun {
  std::string file = (dir / "gold.jsonl").string();
  AnsweredRun() {
    std::ofstream out(file);
    for (const int i : {0, 1, 2, 99}) {
      out << nlohmann::json{{"prompt", cat("Tell me number ", i, ".")},
                            {"completion", cat("Gold ", i, ".")}}
                 .dump()
          << "\n";
    }
  }
  std::string answer(const RunContext& context, int number) const {
    auto query = context.db.prepare("SELECT reference_answer FROM prompts WHERE text LIKE ?");
    query.bind(cat("%Tell me number ", number, ".%"));
    REQUIRE(query.step());
    return query.text(0);
  }
};

TEST_CASE("reference answers of their own file go to prompts that have none", "[pipeline][unit]") {
  const AnsweredRun tiny;
  RunContext context(tiny.config({"--data.references=" + tiny.file}));
  store_run_prompts(context);
  CHECK(tiny.answer(context, 0) == "Gold 0.");
  CHECK(tiny.answer(context, 2) == "Gold 2.");
  CHECK(tiny.answer(context, 1) == "It is number 1.");
  CHECK(tiny.count(context.db, "SELECT count(*) FROM prompts WHERE reference_answer IS NULL") == 4);
}

TEST_CASE("reference answers are what RPO imitates, for imported pairs too", "[pipeline][unit]") {
  const AnsweredRun tiny;
  test::write_tiny_pairs(tiny.dir / "pairs.jsonl", 6);
  test::write_tiny_pairs_config(tiny.dir / "pairs.ini", tiny.dir.path());
  RunContext context(
      tiny.config({"--data.references=" + tiny.file, "--data.heldout=0", "--run.iterations=1",
                   "--loss.name=rpo", "--rpo.baseline=gold", "--rpo.reduction=token_mean"},
                  "pairs.ini"));
  run_loop(context);
  CHECK(tiny.answer(context, 1) == "Gold 1.");
  CHECK(tiny.count(context.db,
                   "SELECT count(*) FROM prompts WHERE reference_answer LIKE 'Gold%'") == 3);
}

TEST_CASE("a row of an answers' file without an answer is an error or left out with its reason",
          "[pipeline][unit]") {
  const AnsweredRun tiny;
  std::ofstream(tiny.file, std::ios::app) << R"({"prompt":"Tell me number 4."})"
                                          << "\n";
  {
    RunContext context(tiny.config({"--data.references=" + tiny.file}));
    CHECK_THROWS_WITH(store_run_prompts(context), Contains("gold.jsonl:5: no_answer"));
  }
  RunContext context(tiny.config({"--data.references=" + tiny.file, "--data.bad_rows=skip"}));
  store_run_prompts(context);
  CHECK(tiny.count(
            context.db,
            "SELECT count(*) FROM rejected_rows WHERE line=5 AND reason LIKE 'no_answer%'") == 1);
}

}  // namespace
}  // namespace plumb
