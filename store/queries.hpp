#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

/// A query with a name that `plumb sql DB @name` runs. Parameters (:run, :it, :a, ...) have
/// defaults taken from the database.
struct StockQuery {
  std::string name, summary, sql;
};
const std::vector<StockQuery>& stock_queries();
/// @param name  with or without the @. Throws UsageError with the nearest name.
const StockQuery& stock_query(const std::string& name);

/// A query's result as text.
struct Table {
  std::vector<std::string> columns;
  std::vector<bool> numeric;  // column holds only numbers and NULL
  std::vector<std::vector<std::optional<std::string>>> rows;
};
/// Runs one read-only statement; anything that writes is refused with UsageError. `parameters` sets
/// parameters by name ("it" or ":it"); the others get sensible defaults:
///
///   run     the newest run; may be given by name
///   it      number of the newest iteration with pairs, else with responses, else the newest
///   suite   train, or the first suite the iteration has
///   set     the pair set "train", or the newest of the iteration
///   a, b    reward modules: the one that decided the pair set (else the first), and another one;
///   may be
///           given by name
///   prompt, sample   the first of the iteration and suite
///   metric  rewards/margins
///   match   words of a refusal
///   limit   20
///
/// Throws UsageError for a parameter the statement does not have, or one that has no default.
Table run_query(const Database& db, const std::string& sql,
                const std::vector<std::pair<std::string, std::string>>& parameters = {});
/// format: table, csv (RFC 4180; NULL is an empty field, an empty text is ""), json (array of
/// objects), markdown. Only `table` shortens long texts and numbers.
std::string format_table(const Table& table, const std::string& format);

}  // namespace plumb::store
