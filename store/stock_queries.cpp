#include <algorithm>
#include <sstream>

#include "core/strings.hpp"
#include "store/embedded_sql.hpp"
#include "store/queries.hpp"

namespace plumb::store {
namespace {

/// Cuts the text at its "-- @name summary" lines.
std::vector<StockQuery> parse(const std::string& text) {
  constexpr std::string_view kMark = "-- @";
  std::vector<StockQuery> queries;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(kMark, 0) == 0) {
      const std::size_t space = line.find(' ', kMark.size());
      expects(space != std::string::npos, "a summary after the name of a stock query");
      queries.push_back(
          {line.substr(kMark.size(), space - kMark.size()), line.substr(space + 1), ""});
    } else if (!queries.empty()) {
      queries.back().sql += line + "\n";
    }
  }
  for (StockQuery& query : queries) query.sql = trim(query.sql);
  return queries;
}

}  // namespace

const std::vector<StockQuery>& stock_queries() {
  static const std::vector<StockQuery> queries = parse(embedded_queries());
  return queries;
}

const StockQuery& stock_query(const std::string& name) {
  const std::string wanted = name.rfind('@', 0) == 0 ? name.substr(1) : name;
  const std::vector<StockQuery>& queries = stock_queries();
  const auto found = std::find_if(queries.begin(), queries.end(),
                                  [&](const StockQuery& query) { return query.name == wanted; });
  if (found != queries.end()) return *found;
  std::vector<std::string> names;
  names.reserve(queries.size());
  for (const StockQuery& query : queries) names.push_back(query.name);
  const std::string nearest = nearest_name(wanted, names);
  throw UsageError(
      cat("query @", wanted, ": unknown; ",
          nearest.empty() ? "known: " + join(names, ", ") : "did you mean @" + nearest + "?"));
}

}  // namespace plumb::store
