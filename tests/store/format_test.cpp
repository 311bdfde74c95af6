#include <nlohmann/json.hpp>

#include "demo.hpp"
#include "store/queries.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;
using Catch::Matchers::Contains;

namespace {

Table example() {
  Table table;
  table.columns = {"id", "score", "text"};
  table.numeric = {true, true, false};
  table.rows = {{"1", "0.5", "plain"}, {"20", std::nullopt, "a,\"b\"\nc|d"}, {"3", "-1.25", ""}};
  return table;
}

}  // namespace

TEST_CASE("csv follows RFC 4180", "[unit]") {
  CHECK(format_table(example(), "csv") ==
        "id,score,text\r\n1,0.5,plain\r\n20,,\"a,\"\"b\"\"\nc|d\"\r\n3,-1.25,\"\"\r\n");
}

TEST_CASE("json is an array of objects with numbers as numbers", "[unit]") {
  const auto parsed = nlohmann::json::parse(format_table(example(), "json"));
  REQUIRE(parsed.size() == 3);
  CHECK(parsed[0] == nlohmann::json{{"id", 1}, {"score", 0.5}, {"text", "plain"}});
  CHECK(parsed[1]["score"].is_null());
  CHECK(parsed[1]["text"] == "a,\"b\"\nc|d");
  Table twice;
  twice.columns = {"a", "a"};
  twice.numeric = {true, true};
  CHECK(format_table(twice, "json") == "[]\n");
  twice.rows = {{"1", "2"}};
  CHECK(nlohmann::json::parse(format_table(twice, "json"))[0] ==
        nlohmann::json{{"a", 1}, {"a_2", 2}});
}

TEST_CASE("markdown escapes what would break a table", "[unit]") {
  CHECK(format_table(example(), "markdown") ==
        "| id | score | text |\n|---:|---:|---|\n| 1 | 0.5 | plain |\n| 20 |  | a,\"b\"<br>c\\|d "
        "|\n| 3 | -1.25 |  |\n");
}

TEST_CASE("table aligns numbers right and texts left", "[unit]") {
  CHECK(format_table(example(), "table") ==
        "id  score  text\n"
        "--  -----  ---------\n"
        " 1    0.5  plain\n"
        "20         a,\"b\"↵c|d\n"
        " 3  -1.25\n");
}

TEST_CASE("table shortens long texts and numbers; the other formats do not", "[unit]") {
  Table table;
  table.columns = {"x", "long"};
  table.numeric = {true, false};
  table.rows = {{"0.3333333333333333", std::string(200, 'y')},
                {"123456789012", "z"},
                {"1.2345678901e-9", "z"},
                {"98765.432109876", "z"}};
  const std::string shown = format_table(table, "table");
  CHECK_THAT(shown, Contains("0.333333  ") && Contains(std::string(48, 'y') + "…") &&
                        !Contains(std::string(49, 'y')));
  CHECK_THAT(shown, Contains("123456789012") && Contains("1.2346e-09") && Contains("98765.4"));
  for (const char* format : {"csv", "json", "markdown"}) {
    CHECK_THAT(format_table(table, format),
               Contains("0.3333333333333333") && Contains(std::string(200, 'y')));
  }
}

TEST_CASE("table counts columns of the terminal and lets no control character through", "[unit]") {
  Table table;
  table.columns = {"a", "b"};
  table.numeric = {false, false};
  table.rows = {{"日本", "x"}, {"\x1b[31mred\x07", "y"}, {"é", "z"}};
  CHECK(format_table(table, "table") ==
        "a          b\n"
        "---------  -\n"
        "日本       x\n"
        " [31mred   y\n"
        "é          z\n");
  table.rows = {{std::string(30, '-') + "日本日本日本日本日本日本", "x"}};
  CHECK_THAT(format_table(table, "table"), Contains("日…  x"));
}

TEST_CASE("Results keep types, precision and odd values", "[unit]") {
  SmallStore store;
  const Table table = run_query(store.db,
                                "SELECT 1 AS i, 0.1+0.2 AS r, 2.0 AS whole, NULL AS n, x'00ff' AS "
                                "b, 'a' AS t, 1e999 AS inf, CAST(x'61ff62' AS TEXT) AS bad");
  CHECK(table.numeric == std::vector<bool>{true, true, true, true, false, false, false, false});
  const auto& row = table.rows.at(0);
  CHECK(row[0] == "1");
  CHECK(row[1] == "0.30000000000000004");
  CHECK(row[2] == "2.0");
  CHECK_FALSE(row[3].has_value());
  CHECK(row[4] == "x'00ff'");
  CHECK(row[6] == "Infinity");
  CHECK(row[7] ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK_NOTHROW(nlohmann::json::parse(format_table(table, "json")));
  CHECK(run_query(store.db, "SELECT 1 AS m UNION ALL SELECT 'x'").numeric ==
        std::vector<bool>{false});
}

TEST_CASE("A result without rows still shows its columns", "[unit]") {
  SmallStore store;
  const Table table = run_query(store.db, "SELECT 1 AS a, 'x' AS b WHERE 0");
  CHECK(format_table(table, "table") == "a  b\n-  -\n");
  CHECK(format_table(table, "csv") == "a,b\r\n");
  CHECK(format_table(table, "json") == "[]\n");
  CHECK_THROWS_AS(format_table(table, "xml"), UsageError);
  CHECK_THROWS_WITH(format_table(table, "jsn"), Contains("did you mean json?"));
}
