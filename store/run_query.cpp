#include <sqlite3.h>

#include <array>
#include <charconv>
#include <cmath>

#include "core/strings.hpp"
#include "store/queries.hpp"
#include "store/query_parameters.hpp"

namespace plumb::store {
namespace {

/// Shortest text that reads back as the same number, recognisably not an integer.
std::string real_text(double value) {
  if (!std::isfinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  std::array<char, 32> text{};
  char* const end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  std::string out(text.data(), end);
  return out.find_first_of(".e") == std::string::npos ? out + ".0" : out;
}

std::string hex_text(std::string_view blob) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out = "x'";
  for (const char c : blob) {
    out +=
        {kDigits[static_cast<unsigned char>(c) >> 4], kDigits[static_cast<unsigned char>(c) & 15]};
  }
  return out + "'";
}

std::optional<std::string> cell(const Statement& row, int column) {
  switch (row.type(column)) {
    case SQLITE_NULL:
      return std::nullopt;
    case SQLITE_FLOAT:
      return real_text(row.real(column));
    case SQLITE_BLOB:
      return hex_text(row.blob(column));
    case SQLITE_TEXT:
      return to_valid_utf8(row.text(column));
    default:
      return row.text(column);
  }
}

bool is_number(const Statement& row, int column) {
  const int type = row.type(column);
  return type == SQLITE_NULL || type == SQLITE_INTEGER ||
         (type == SQLITE_FLOAT && std::isfinite(row.real(column)));
}

void read_rows(Statement& statement, Table& table) {
  const int columns = statement.columns();
  while (statement.step()) {
    std::vector<std::optional<std::string>>& row = table.rows.emplace_back();
    for (int i = 0; i < columns; ++i) {
      const auto at = static_cast<std::size_t>(i);
      table.numeric[at] = table.numeric[at] && is_number(statement, i);
      row.push_back(cell(statement, i));
    }
  }
}

}  // namespace

Table run_query(const Database& db, const std::string& sql,
                const std::vector<std::pair<std::string, std::string>>& parameters) {
  Statement statement = db.prepare_read_only(sql);
  bind_parameters(db, statement, parameters);
  Table table;
  for (int i = 0; i < statement.columns(); ++i) table.columns.push_back(statement.column_name(i));
  table.numeric.assign(table.columns.size(), true);
  try {
    read_rows(statement, table);
  } catch (const SqlError& error) {
    if (error.code() != SQLITE_ERROR) throw;
    throw UsageError(
        cat("query: ", error.what()));  // e.g. a full-text expression that does not parse
  }
  return table;
}

}  // namespace plumb::store
