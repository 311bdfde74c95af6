#include "store/queries.hpp"

#include <algorithm>
#include <set>

#include "demo.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;
using Catch::Matchers::Contains;

namespace {

std::string value(const Table& table, std::size_t row, const std::string& column) {
  const auto at = std::find(table.columns.begin(), table.columns.end(), column);
  REQUIRE(at != table.columns.end());
  REQUIRE(row < table.rows.size());
  return table.rows[row][static_cast<std::size_t>(at - table.columns.begin())].value_or("NULL");
}

}  // namespace

TEST_CASE("Every stock query has a name, a summary and rows on the demo data", "[unit]") {
  DemoStore store;
  const Database reader = Database::open_reader(store.file);
  std::set<std::string> names;
  for (const StockQuery& query : stock_queries()) {
    INFO(query.name);
    CHECK(names.insert(query.name).second);
    CHECK(query.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos);
    CHECK(query.summary.size() > 10);
    const bool about_sample = query.name == "tokens" || query.name == "token_rewards";
    const Table table =
        run_query(reader, query.sql,
                  about_sample ? std::vector<std::pair<std::string, std::string>>{{"sample", "61"}}
                               : std::vector<std::pair<std::string, std::string>>{});
    CHECK_FALSE(table.rows.empty());
    CHECK(table.numeric.size() == table.columns.size());
    for (const char* format : {"table", "csv", "json", "markdown"})
      CHECK_FALSE(format_table(table, format).empty());
  }
  for (const char* name : {"best_worst", "progress", "iterations", "pairs", "ties", "skips",
                           "truncated", "disagreement", "length_bias", "reward_hacks", "ledger",
                           "lineage", "config", "rejected", "unscored"}) {
    CHECK(names.count(name) == 1);
  }
}

TEST_CASE("Stock queries run on a database that is still empty", "[unit]") {
  FreshStore store;
  for (const StockQuery& query : stock_queries()) {
    INFO(query.name);
    CHECK_NOTHROW(run_query(store.db, query.sql));
  }
}

TEST_CASE("Stock queries answer what their names say", "[unit]") {
  DemoStore store;
  const auto ask = [&](const std::string& name,
                       const std::vector<std::pair<std::string, std::string>>& parameters = {}) {
    return run_query(store.db, stock_query(name).sql, parameters);
  };
  SECTION("@best_worst takes the extremes of every prompt") {
    const Table table = ask("best_worst", {{"it", "1"}, {"limit", "1000"}});
    REQUIRE(table.rows.size() == 45);
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      const std::string prompt = value(table, row, "prompt");
      Statement truth = store.db.prepare(
          "SELECT max(r.score), min(r.score) FROM samples s JOIN rewards r USING(sample_id) WHERE "
          "s.iteration_id=2 AND s.prompt_id=? AND r.module_id=1");
      truth.bind(std::stoi(prompt)).step();
      CHECK(std::stod(value(table, row, "best")) == truth.real(0));
      CHECK(std::stod(value(table, row, "worst")) == truth.real(1));
      CHECK(value(table, row, "question") == "question " + prompt);
    }
  }
  SECTION("@skips counts what gave no pair, dropped pairs too") {
    const Table table = ask("skips");  // newest iteration with pairs
    std::set<std::string> found;
    for (std::size_t row = 0; row < table.rows.size(); ++row)
      found.insert(value(table, row, "reason") + " " + value(table, row, "prompts"));
    CHECK(found == std::set<std::string>{"duplicates 1", "too_few_responses 1", "tie 1"});
    CHECK(ask("skips", {{"set", "random"}}).rows.size() == 1);
  }
  SECTION("@ties shows the prompt that was scored alike") {
    const Table table = ask("ties");
    REQUIRE(table.rows.size() == 1);
    CHECK(value(table, 0, "prompt_id") == "13");
  }
  SECTION("@unscored counts missing and failed scores") {
    const Table table = ask("unscored");
    Statement truth = store.db.prepare(
        "SELECT count(*) FROM samples s WHERE s.iteration_id=4 AND NOT EXISTS(SELECT 1 FROM "
        "rewards r WHERE r.sample_id=s.sample_id AND r.module_id=1)");
    truth.step();
    bool seen = false;
    for (std::size_t row = 0; row < table.rows.size(); ++row) {
      if (value(table, row, "iteration") != "3" || value(table, row, "module") != "r3") continue;
      CHECK(value(table, row, "unscored") == truth.text(0));
      seen = true;
    }
    CHECK(seen);
  }
  SECTION("@iterations turns metrics into columns") {
    const Table table = ask("iterations");
    REQUIRE(table.rows.size() == 4);
    CHECK(value(table, 0, "change") == "NULL");
    CHECK(value(table, 2, "reward") == "0.56");
    CHECK(value(table, 2, "change_low") == "0.06");
    CHECK(value(table, 2, "repetition") == "0.98");
    CHECK(value(table, 2, "kl") == "3.1");
  }
  SECTION("@signature has one row an evaluation; held-out pairs take the KL of the samples") {
    const Table table = ask("signature");
    REQUIRE(table.rows.size() == 4);
    CHECK(value(table, 0, "chosen") == "NULL");
    CHECK(value(table, 2, "iteration") == "2");
    CHECK(value(table, 2, "accuracy") == "0.7");
    CHECK(value(table, 2, "chosen_low") == "-2.0");
    CHECK(value(table, 2, "margin") == "2.5");
    CHECK(value(table, 2, "kl") == "3.1");
    CHECK(value(table, 2, "copied") == "0.03");
    CHECK(std::stod(value(table, 2, "agreement")) ==
          Approx(std::stod(
              text(store.db, "SELECT avg(value) FROM consistency WHERE iteration_id=3"))));
    CHECK(value(table, 3, "suite") == "heldout-pairs");
    CHECK(value(table, 3, "accuracy") == "0.6");
    CHECK(value(table, 3, "span_margin") == "1.25");
    CHECK(value(table, 3, "kl") == "3.1");
  }
  SECTION("@span_rewards takes a mean over the span tokens of a side, or over all of them") {
    const Table spans = ask("span_rewards", {{"it", "1"}});
    REQUIRE(spans.rows.size() == 2);
    CHECK(value(spans, 0, "module") == "r3");
    CHECK(value(spans, 0, "pairs") == "1");
    CHECK(value(spans, 0, "tokens") == "7");
    CHECK(value(spans, 0, "chosen") == "0.5");
    CHECK(std::stod(value(spans, 0, "rejected")) == Approx(0.2));
    CHECK(value(spans, 0, "chosen_positive") == "1.0");
    CHECK(value(spans, 0, "rejected_negative") == "0.0");
    CHECK(value(spans, 0, "chosen_above") == "1.0");
    const Table whole = ask("span_rewards");
    CHECK(value(whole, 0, "tokens") == "3");
    CHECK(value(whole, 0, "rejected") == "-0.5");
  }
  SECTION("@suspects begins with the label that is trusted least") {
    const Table table = ask("suspects");
    CHECK(value(table, 0, "suspect") == "1");
    CHECK(value(table, 0, "t_right") == "0.3");
    CHECK(std::stod(value(table, 0, "t_right")) <= std::stod(value(table, 1, "t_right")));
  }
  SECTION("@ledger begins with the highest loss") {
    const Table table = ask("ledger");
    REQUIRE(table.rows.size() > 2);
    CHECK(std::stod(value(table, 0, "last_loss")) > std::stod(value(table, 1, "last_loss")));
    CHECK(std::stod(value(table, 0, "last_loss")) ==
          Approx(std::stod(text(store.db, "SELECT max(loss) FROM step_pairs WHERE step_id>30"))));
  }
  SECTION("@disagreement equals the definition written without tricks") {
    const Table table = ask("disagreement", {{"it", "1"}});
    CHECK(value(table, 0, "a") == "r3");
    CHECK(value(table, 0, "b") == "genarm");
    CHECK(
        std::stod(value(table, 0, "disagree")) ==
        Approx(std::stod(text(
                   store.db,
                   "SELECT avg((x.score-x2.score)*(y.score-y2.score)<0) FROM samples s JOIN "
                   "samples s2 ON s2.iteration_id=s.iteration_id AND "
                   "s2.prompt_id=s.prompt_id AND s2.suite=s.suite AND s2.k>s.k JOIN rewards x ON "
                   "x.sample_id=s.sample_id AND x.module_id=1 "
                   "JOIN rewards x2 ON x2.sample_id=s2.sample_id AND x2.module_id=1 JOIN rewards y "
                   "ON y.sample_id=s.sample_id AND "
                   "y.module_id=2 JOIN rewards y2 ON y2.sample_id=s2.sample_id AND y2.module_id=2 "
                   "WHERE s.iteration_id=2 AND s.suite='train' AND y.score IS NOT NULL AND "
                   "y2.score IS NOT NULL")))
            .epsilon(1e-12));
  }
  SECTION("@headroom is best minus mean") {
    const Table table = ask("headroom");
    CHECK(std::stod(value(table, 0, "headroom")) ==
          Approx(std::stod(value(table, 0, "best_of_n")) - std::stod(value(table, 0, "mean")))
              .epsilon(1e-12));
    CHECK(value(table, 0, "prompts") == "45");
  }
  SECTION("@search marks the hits") {
    const Table table = ask("search", {{"match", "sun"}});
    CHECK_THAT(value(table, 0, "hit"), Contains("[sun]"));
    CHECK_THAT(ask("search").rows[0].back().value(), Contains("[Sorry]"));
  }
}

TEST_CASE("Parameters have defaults from the database and can be set by name", "[unit]") {
  DemoStore store;
  const auto one = [&](const std::string& sql,
                       const std::vector<std::pair<std::string, std::string>>& parameters = {}) {
    return run_query(store.db, sql, parameters).rows.at(0).at(0).value_or("NULL");
  };
  CHECK(one("SELECT :run") == "1");
  CHECK(one("SELECT :it") == "2");  // iteration 3 has samples, but no pairs yet
  CHECK(one("SELECT :suite") == "train");
  CHECK(one("SELECT :suite", {}) == "train");
  CHECK(one("SELECT :set") == "train");
  CHECK(one("SELECT :a") == "1");
  CHECK(one("SELECT :b") == "2");
  CHECK(one("SELECT :prompt") == "1");
  CHECK(
      one("SELECT :sample", {}) ==
      text(store.db, "SELECT sample_id FROM samples WHERE iteration_id=3 AND prompt_id=1 AND k=0"));
  CHECK(one("SELECT :limit") == "20");
  CHECK(one("SELECT :it+:it", {{"it", "3"}}) == "6");
  CHECK(one("SELECT :it", {{":it", "3"}}) == "3");
  CHECK(one("SELECT typeof(:x)||typeof(:y)||typeof(:z)",
            {{"x", "1"}, {"y", "1.5"}, {"z", "1.5a"}}) == "integerrealtext");
  CHECK(one("SELECT :a", {{"a", "genarm"}}) == "2");
  CHECK(one("SELECT :run", {{"run", "demo"}}) == "1");

  create_run(store.db, "newer", 1, "0.1.0", "{}");
  CHECK(one("SELECT :run") == "2");
  CHECK(one("SELECT :it") == "NULL");

  CHECK_THROWS_WITH(one("SELECT :it", {{"iteration", "3"}}),
                    Contains("no :iteration") && Contains("it has it"));
  CHECK_THROWS_WITH(one("SELECT 1", {{"it", "3"}}), Contains("no parameters"));
  CHECK_THROWS_WITH(one("SELECT :nosuch"), Contains(":nosuch has no value"));
  CHECK_THROWS_WITH(one("SELECT ?"), Contains("parameter without name"));
  CHECK_THROWS_WITH(one("SELECT :a", {{"a", "r33"}}), Contains("r33") && Contains("r3, genarm"));
  CHECK_THROWS_WITH(one("SELECT :run", {{"run", "nosuch"}}), Contains("demo"));
}

TEST_CASE("An unknown stock query names the nearest one", "[unit]") {
  CHECK(stock_query("@pairs").name == "pairs");
  CHECK_THROWS_AS(stock_query("best_worts"), UsageError);
  CHECK_THROWS_WITH(stock_query("best_worts"), Contains("did you mean @best_worst?"));
  CHECK_THROWS_WITH(stock_query("zzzzzzzzzzzz"), Contains("known: ") && Contains("pairs"));
}
