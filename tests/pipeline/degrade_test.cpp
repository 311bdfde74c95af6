#include "pipeline/degrade.hpp"

#include <algorithm>

#include "pipeline/loop.hpp"
#include "pipeline/pair_data.hpp"
#include "store/samples.hpp"
#include "tiny_run.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using test::TinyRun;

std::string spoilt(const std::string& text, const DegradeOptions& options, std::uint64_t item = 1) {
  return degraded({{"system", "Be kind."}, {"user", text}}, options, RandomStream(7, 1, item))
      .back()
      .content;
}

TEST_CASE("degrade: the question stays, words of the context go or move", "[pipeline][unit]") {
  const std::string text = "Ann has two cats. Bob has a dog. Who has a dog?";
  const std::string less = spoilt(text, {.mode = "drop", .share = 0.5});
  CHECK_THAT(less, Catch::Matchers::EndsWith(" Who has a dog?"));
  CHECK(less.size() < text.size());
  const std::string moved = spoilt(text, {.mode = "shuffle"});
  CHECK_THAT(moved, Catch::Matchers::EndsWith(" Who has a dog?"));
  CHECK(moved != text);
  CHECK(moved.size() == text.size());
  CHECK(spoilt(text, {}) == less);     // the same address, the same words
  CHECK(spoilt(text, {}, 2) != less);  // another one
  // At the ends of the range a word goes and a word stays; a lone sentence is all context.
  CHECK(spoilt("one two three", {.share = 0.0}).size() < 13);
  CHECK_FALSE(spoilt("one two three", {.share = 1.0}).empty());
  CHECK(spoilt("word", {}) == "word");
  CHECK_THAT(spoilt("a b c d\nName it.", {.mode = "shuffle"}),
             Catch::Matchers::EndsWith("\nName it."));
}

TEST_CASE("degrade: rule degraded pairs a response with one to the spoilt prompt",
          "[pipeline][unit]") {
  TinyRun tiny;
  const std::vector<std::string> options{"--pair.rule=degraded", "--run.iterations=1",
                                         "--loss.name=rrpo"};
  RunContext context(tiny.config(options));
  run_loop(context);
  const store::Database& db = context.db;
  CHECK(tiny.count(db, "SELECT count(*) FROM samples WHERE suite='degraded'") == 8 * 3);
  CHECK(tiny.count(db, "SELECT count(*) FROM pairs") +
            tiny.count(db, "SELECT count(*) FROM pair_skips") ==
        8);
  const auto iteration = *store::find_iteration(db, context.run.id, 1);
  const PairSelection selection = select_pairs(context, iteration);
  REQUIRE(selection.pairs.size() >= 2);
  for (const store::PairRow& pair : selection.pairs) {
    const auto chosen = *store::find_sample(db, pair.chosen_id);
    const auto rejected = *store::find_sample(db, pair.rejected_id);
    CHECK(chosen.suite == "train");
    CHECK(rejected.suite == "degraded");
    CHECK(chosen.k == rejected.k);
    CHECK(chosen.prompt_id == rejected.prompt_id);
    CHECK(pair.margin > 0.0);
  }
  // Which prompt a degraded response really answered stands beside the original in its place.
  auto origin = db.prepare(
      "SELECT count(*), count(DISTINCT d.prompt_id), sum(p.text<>q.text) FROM run_prompts t JOIN "
      "run_prompts d ON d.run_id=t.run_id AND d.iteration_index=t.iteration_index AND "
      "d.position=t.position AND d.use='degraded' JOIN prompts p ON p.prompt_id=t.prompt_id JOIN "
      "prompts q ON q.prompt_id=d.prompt_id WHERE t.use='train' AND t.iteration_index=1");
  REQUIRE(origin.step());
  CHECK(origin.integer(0) == 8);
  CHECK(origin.integer(2) == 8);
}

}  // namespace
}  // namespace plumb
