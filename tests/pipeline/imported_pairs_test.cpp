#include "pipeline/imported_pairs.hpp"

#include <cmath>
#include <fstream>

#include "core/error.hpp"
#include "pipeline/iterations.hpp"
#include "pipeline/loop.hpp"
#include "pipeline/tiny_run.hpp"
#include "store/samples.hpp"
#include "store/training.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Catch::Matchers::Contains;

/// A tiny run on 20 pairs over 10 prompts, 4 of which are held out.
struct PairRun : test::TinyRun {
  PairRun() {
    test::write_tiny_pairs(dir / "pairs.jsonl", 20);
    test::write_tiny_pairs_config(dir / "pairs.ini", dir.path());
  }
  RunConfig pairs(const std::vector<std::string>& arguments = {}) const {
    return config(arguments, "pairs.ini");
  }
};

double evaluation(const RunContext& context, std::int64_t iteration, const std::string& metric) {
  for (const auto& [index, row] : store::evaluations(context.db, context.run.id)) {
    if (index == iteration && row.suite == kHeldoutPairs && row.metric == metric) return row.value;
  }
  FAIL("no evaluation " << metric);
  return 0.0;
}

TEST_CASE("import: pairs of a file train GenARM, and held-out ones tell how well",
          "[pipeline][unit]") {
  PairRun tiny;
  RunContext context(tiny.pairs({"--train.num_train_epochs=4", "--spans.max_coverage=0"}));
  run_loop(context);
  const store::Database& db = context.db;
  // 6 prompts in two iterations of 3 with two pairs each; "yes, yes" is stored once a prompt.
  CHECK(tiny.count(db, "SELECT count(*) FROM samples WHERE suite='import'") == 6 * 3);
  CHECK(tiny.count(db, "SELECT count(*) FROM samples WHERE suite='heldout-pairs'") == 4 * 3);
  CHECK(tiny.count(db, "SELECT count(*) FROM samples WHERE source<>'dataset'") == 0);
  CHECK(tiny.count(db,
                   "SELECT count(*) FROM pairs JOIN pair_sets USING(pair_set_id) JOIN iterations "
                   "USING(iteration_id) WHERE idx IN (1, 2) AND pair_sets.name='train' AND "
                   "margin=1.5") == 12);
  CHECK(tiny.count(db,
                   "SELECT count(DISTINCT p.prompt_id) FROM pairs p JOIN samples s ON "
                   "s.sample_id=p.chosen_id WHERE s.suite='heldout-pairs'") == 4);
  CHECK(tiny.count(db,
                   "SELECT count(*) FROM pairs a JOIN samples s ON s.sample_id=a.chosen_id JOIN "
                   "pairs b ON b.prompt_id=a.prompt_id JOIN samples t ON t.sample_id=b.chosen_id "
                   "WHERE s.suite='import' AND t.suite='heldout-pairs'") == 0);
  // Responses end with the end of turn, id 2 of the tiny tokenizer.
  const auto sample = store::find_sample(
      db, tiny.count(db, "SELECT min(sample_id) FROM samples WHERE text='yes, yes'"));
  REQUIRE(sample);
  CHECK(sample->ids.size() == 9);
  CHECK(sample->ids.back() == 2);
  CHECK(sample->finish_reason == "stop");
  // The reward model learns what it is shown.
  CHECK(evaluation(context, 2, "eval_logps/accuracy") == 1.0);
  CHECK(evaluation(context, 2, "eval_logps/margin") >
        evaluation(context, 0, "eval_logps/margin") + 1.0);
  CHECK(evaluation(context, 2, "eval_logps/accuracy_change") == 1.0);
  // With this coverage responses count whole: the margin in the spans is that of the responses.
  CHECK(evaluation(context, 2, "eval_logps/span_accuracy") == 1.0);
  CHECK(evaluation(context, 2, "eval_logps/span_margin") ==
        Approx(evaluation(context, 2, "eval_logps/chosen_change") -
               evaluation(context, 2, "eval_logps/rejected_change"))
            .margin(1e-4));
  // Nine tokens against eleven and more.
  CHECK(evaluation(context, 0, "eval_logps/chosen_longer") == 0.0);
}

TEST_CASE("import: phrases that the data marks are the key spans that RRPO trains on",
          "[pipeline][unit]") {
  PairRun tiny;
  {
    std::ofstream out(tiny.dir / "pairs.jsonl");
    for (int i = 0; i < 6; ++i) {
      nlohmann::json row = {{"prompt", cat("Tell me number ", i, ".")},
                            {"chosen", "yes, yes"},
                            {"rejected", "no, not"}};
      if (i != 0) {
        row["chosen_masked"] = "<MASK>yes</MASK>, <MASK></MASK>yes";
        row["rejected_masked"] = "<MASK>no</MASK>, <MASK>not</MASK>";
      }
      out << row.dump() << "\n";
    }
  }
  RunContext context(tiny.pairs({"--run.iterations=1", "--data.heldout=0", "--loss.name=rrpo"}));
  run_loop(context);
  const store::Database& db = context.db;
  // The tiny tokenizer has a token a byte. Row 0 marks nothing: its spans come from the diff, which
  // never has an empty side by default.
  const auto pairs_with = [&](const std::string& span) {
    return tiny.count(db, cat("SELECT count(*) FROM pair_spans JOIN pairs USING(pair_id) JOIN "
                              "pair_sets USING(pair_set_id) WHERE name='train' AND (span, "
                              "chosen_begin, chosen_end, rejected_begin, rejected_end)=(",
                              span, ")"));
  };
  CHECK(pairs_with("0, 0, 3, 0, 2") == 6);
  CHECK(pairs_with("1, 5, 5, 4, 7") == 5);
  CHECK(tiny.count(db,
                   "SELECT count(DISTINCT pair_id) FROM pair_spans JOIN pairs USING(pair_id) JOIN "
                   "pair_sets USING(pair_set_id) WHERE name='train'") == 6);
  CHECK(tiny.count(db,
                   "SELECT round(avg(value)) FROM step_metrics WHERE name="
                   "'rrpo/span_tokens_rejected'") == 5);
}

TEST_CASE("import: early-learning regularisation suspects the pairs whose labels were swapped",
          "[pipeline][unit]") {
  PairRun tiny;
  {
    std::ofstream out(tiny.dir / "pairs.jsonl");
    for (int i = 0; i < 20; ++i) {
      const bool swapped = i == 3 || i == 11;
      out << nlohmann::json{{"prompt", cat("Tell me number ", i, ".")},
                            {swapped ? "rejected" : "chosen", "yes, yes"},
                            {swapped ? "chosen" : "rejected", "no, not that"}}
                 .dump()
          << "\n";
    }
  }
  RunContext context(tiny.pairs({"--run.iterations=1", "--data.heldout=0", "--loss.name=dpo",
                                 "--loss.modifier=elr", "--train.num_train_epochs=6"}));
  run_loop(context);
  const store::Database& db = context.db;
  CHECK(tiny.count(db, "SELECT count(*) FROM pair_targets") == 6 * 20);
  CHECK(tiny.count(db, "SELECT count(*) FROM v_pair_targets WHERE visits=6") == 20);
  auto query = db.prepare(
      "SELECT group_concat(c.text, '|') FROM v_pair_targets t JOIN pairs p USING(pair_id) JOIN "
      "samples c ON c.sample_id=p.chosen_id WHERE suspect");
  REQUIRE(query.step());
  CHECK(query.text(0) == "no, not that|no, not that");
}

TEST_CASE("import: the margin in the store is the difference of the model's summed log-probs",
          "[pipeline][unit]") {
  PairRun tiny;
  RunContext context(tiny.pairs({"--run.iterations=1"}));
  run_loop(context);
  auto query = context.db.prepare(
      "SELECT avg(c.total-r.total), avg(c.total>r.total) FROM pairs p JOIN pair_sets t "
      "USING(pair_set_id) JOIN reference_logps c ON c.sample_id=p.chosen_id JOIN reference_logps r "
      "ON r.sample_id=p.rejected_id AND r.checkpoint_id=c.checkpoint_id WHERE "
      "t.name='heldout-pairs' AND c.checkpoint_id=(SELECT max(checkpoint_id) FROM checkpoints)");
  REQUIRE(query.step());
  CHECK(query.real(0) == Approx(evaluation(context, 1, "eval_logps/margin")));
  CHECK(query.real(1) == Approx(evaluation(context, 1, "eval_logps/accuracy")));
}

TEST_CASE("import: any loss trains on imported pairs, with its reference", "[pipeline][unit]") {
  PairRun tiny;
  for (const std::string loss : {"dpo", "simpo"}) {
    RunContext context(
        tiny.pairs({"--loss.name=" + loss, "--run.iterations=1", "--run.name=" + loss,
                    "--run.dir=" + (tiny.dir / loss).string()}));
    run_loop(context);
    CHECK(tiny.count(context.db, "SELECT count(*) FROM steps") == 3);
    if (loss == "dpo") {
      auto first = context.db.prepare("SELECT loss FROM steps WHERE global_step=1");
      REQUIRE(first.step());
      CHECK(first.real(0) == Approx(std::log(2.0)).margin(1e-5));
    }
  }
}

TEST_CASE("import: rows that give no pair are refused, or counted with their reason",
          "[pipeline][unit]") {
  PairRun tiny;
  std::ofstream(tiny.dir / "pairs.jsonl", std::ios::app)
      << R"({"prompt": "a", "chosen": "b"})"
      << "\n{bad\n"
      << nlohmann::json{{"prompt", "a"}, {"chosen", std::string(600, 'x')}, {"rejected", "y"}}
             .dump()
      << "\n"
      << R"({"id": "again", "prompt": "Tell me number 0.", "chosen": "yes, yes", "rejected": "no, not 0"})"
      << "\n";
  CHECK_THROWS_WITH(
      [&] {
        RunContext context(tiny.pairs());
        store_run_prompts(context);
      }(),
      Contains("pairs.jsonl:21: missing_field"));
  RunContext context(tiny.pairs({"--data.bad_rows=skip", "--data.truncation=drop"}));
  store_run_prompts(context);
  auto rows = context.db.prepare("SELECT line, reason FROM rejected_rows ORDER BY line");
  for (const auto& [line, code] : std::vector<std::pair<std::int64_t, std::string>>{
           {21, "missing_field"}, {22, "bad_json"}, {23, "too_long"}, {24, "duplicate"}}) {
    REQUIRE(rows.step());
    CHECK(rows.integer(0) == line);
    CHECK_THAT(rows.text(1), Contains(code));
  }
  CHECK_FALSE(rows.step());
  CHECK(tiny.count(context.db, "SELECT count(*) FROM pairs") == 20);
}

TEST_CASE("import: a set beside the run's own pairs, twice the same changes nothing",
          "[pipeline][unit]") {
  PairRun tiny;
  RunContext context(tiny.config({"--pair.set=human"}), "import");
  store_run_prompts(context);
  ensure_iteration(context, 0);
  const store::Iteration first = ensure_iteration(context, 1);
  const std::vector<std::string> files{(tiny.dir / "pairs.jsonl").string()};
  import_pair_set(context, files, first);
  const auto samples = tiny.count(context.db, "SELECT count(*) FROM samples");
  CHECK(tiny.count(context.db, "SELECT count(*) FROM pairs") == 20);
  CHECK(samples == 30);
  import_pair_set(context, files, first);
  CHECK(tiny.count(context.db, "SELECT count(*) FROM samples") == samples);
  test::write_tiny_pairs(tiny.dir / "pairs.jsonl", 18);
  CHECK_THROWS_WITH(import_pair_set(context, files, first), Contains("another pair set"));
}

TEST_CASE("import: prompts and pairs in one config, and modules for pairs, are refused",
          "[pipeline][unit]") {
  PairRun tiny;
  CHECK_THROWS_WITH(tiny.pairs({"--data.prompts=x.jsonl"}), Contains("both set"));
  CHECK_THROWS_WITH(tiny.pairs({"--pair.module=length"}), Contains("imported"));
  CHECK_THROWS_WITH(tiny.pairs({"--consistency.rate=fixed"}), Contains("imported"));
}

}  // namespace
}  // namespace plumb
