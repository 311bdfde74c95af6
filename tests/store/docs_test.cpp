#include <regex>
#include <set>
#include <sstream>

#include "core/strings.hpp"
#include "demo.hpp"
#include "store/queries.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::store;
using namespace plumb::store::test;

namespace {

std::string document() {
  return read_file(std::filesystem::path(PLUMB_SOURCE_DIR) / "docs/sql.md");
}

/// The statements in the ```sql blocks of a document.
std::vector<std::string> sql_statements(const std::string& text) {
  std::vector<std::string> statements;
  bool inside = false;
  std::string block;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line == "```sql") {
      inside = true;
    } else if (inside && line == "```") {
      for (const std::string& statement : split_list(block, ';')) statements.push_back(statement);
      block.clear();
      inside = false;
    } else if (inside) {
      block += line + "\n";
    }
  }
  return statements;
}

}  // namespace

TEST_CASE("Every statement of docs/sql.md has rows on the demo data", "[unit]") {
  DemoStore store;
  const Database reader = Database::open_reader(store.file);
  const std::vector<std::string> statements = sql_statements(document());
  CHECK(statements.size() > 15);
  for (const std::string& statement : statements) {
    INFO(statement);
    CHECK_FALSE(run_query(reader, statement).rows.empty());
  }
}

TEST_CASE("Every example of a stock query in docs/sql.md runs, and none is missing", "[unit]") {
  DemoStore store;
  const Database reader = Database::open_reader(store.file);
  const std::string text = document();
  std::set<std::string> shown;
  const std::regex example("\\| `@([a-z_]+)([^`]*)` \\|"), option("--([a-z]+)=([^ ]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), example), end; it != end; ++it) {
    const std::string name = (*it)[1], options = (*it)[2];
    INFO(name + options);
    std::vector<std::pair<std::string, std::string>> parameters;
    for (std::sregex_iterator o(options.begin(), options.end(), option); o != end; ++o)
      parameters.emplace_back((*o)[1], (*o)[2]);
    CHECK_FALSE(run_query(reader, stock_query(name).sql, parameters).rows.empty());
    shown.insert(name);
  }
  for (const StockQuery& query : stock_queries()) {
    INFO(query.name);
    CHECK(shown.count(query.name) == 1);
  }
}

TEST_CASE("docs/sql.md names every table and view", "[unit]") {
  DemoStore store;
  const std::string text = document();
  Statement names = store.db.prepare(
      "SELECT name FROM sqlite_schema WHERE type IN('table','view') AND name NOT GLOB 'sqlite_*' "
      "AND name NOT GLOB 'samples_fts_*'");
  while (names.step()) {
    INFO(names.text(0));
    CHECK(text.find("`" + names.text(0) + "`") != std::string::npos);
  }
}
