#pragma once
#include <string>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

/// A query with a name that `plumb sql DB @name` runs. Parameters (:run, :it, :a, ...) have defaults taken from the database.
struct StockQuery {
  std::string name, summary, sql;
};
const std::vector<StockQuery>& stock_queries();
/// Throws UsageError with the nearest name.
const StockQuery& stock_query(const std::string& name);

/// A query's result as text.
struct Table {
  std::vector<std::string> columns;
  std::vector<bool> numeric;  // column holds only numbers and NULL
  std::vector<std::vector<std::optional<std::string>>> rows;
};
/// Runs one read-only statement; anything that writes is refused with UsageError. Unbound parameters get sensible defaults
/// (newest run, last iteration, first reward modules); `parameters` overrides them by name.
Table run_query(const Database& db, const std::string& sql, const std::vector<std::pair<std::string, std::string>>& parameters = {});
/// format: table, csv, json, markdown.
std::string format_table(const Table& table, const std::string& format);

}  // namespace plumb::store
