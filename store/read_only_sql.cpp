#include "store/read_only_sql.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "core/error.hpp"
#include "store/sqlite_error.hpp"

namespace plumb::store {
namespace {

/// PRAGMAs that only report; the first group also takes an argument that names what to report on.
constexpr std::array<std::string_view, 11> kReportOn{
    "foreign_key_check", "foreign_key_list", "index_info",   "index_list",
    "index_xinfo",       "integrity_check",  "quick_check",  "table_info",
    "table_list",        "table_xinfo",      "function_list"};
constexpr std::array<std::string_view, 11> kReport{
    "application_id", "collation_list", "compile_options", "data_version",
    "database_list",  "encoding",       "freelist_count",  "page_count",
    "page_size",      "pragma_list",    "user_version"};

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_allowed(int action, const char* first, const char* second) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
      return true;
    case SQLITE_UPDATE:  // how SQLite connects a virtual table; a real UPDATE is not read-only
      return std::string_view(first) == "sqlite_master";
    case SQLITE_FUNCTION:
      return std::string_view(second) != "load_extension";
    case SQLITE_PRAGMA:
      return contains(kReportOn, first) || (second == nullptr && contains(kReport, first));
    default:
      return false;
  }
}

/// Installed while the statement is compiled. `refused` becomes true when something but reading was
/// asked for.
class ReadOnlyRule {
 public:
  explicit ReadOnlyRule(sqlite3* database) : database_(database) {
    sqlite3_set_authorizer(database_, &ReadOnlyRule::decide, this);
  }
  ~ReadOnlyRule() { sqlite3_set_authorizer(database_, nullptr, nullptr); }
  ReadOnlyRule(const ReadOnlyRule&) = delete;
  ReadOnlyRule& operator=(const ReadOnlyRule&) = delete;
  bool refused = false;

 private:
  static int decide(void* self, int action, const char* first, const char* second, const char*,
                    const char*) {
    if (is_allowed(action, first, second)) return SQLITE_OK;
    static_cast<ReadOnlyRule*>(self)->refused = true;
    return SQLITE_DENY;
  }
  sqlite3* database_;
};

}  // namespace

sqlite3_stmt* compile_read_only(sqlite3* database, std::string_view sql) {
  ReadOnlyRule rule(database);
  using Owner = std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)>;
  Owner found(nullptr, sqlite3_finalize);
  std::string rest(sql);
  while (!rest.empty()) {
    sqlite3_stmt* raw = nullptr;
    const char* tail = nullptr;
    const int code =
        sqlite3_prepare_v2(database, rest.c_str(), static_cast<int>(rest.size()) + 1, &raw, &tail);
    Owner statement(raw, sqlite3_finalize);
    if (rule.refused || (raw != nullptr && sqlite3_stmt_readonly(raw) == 0)) {
      throw UsageError(
          cat("query: only reading is allowed here (SELECT, EXPLAIN, PRAGMA table_info and the "
              "like); given: ",
              sql));
    }
    if ((code & 0xff) == SQLITE_ERROR) {
      throw UsageError(cat("query: ", sqlite3_errmsg(database), "\n  in: ", sql));
    }
    if (code != SQLITE_OK) throw_sql_error(database, code, sql);
    if (raw != nullptr && found) {
      throw UsageError(cat("query: one statement at a time; given: ", sql));
    }
    if (raw != nullptr) found = std::move(statement);
    rest = std::string(tail);
  }
  if (!found) throw UsageError("query: empty; give one SELECT, or @name for a stock query");
  return found.release();
}

}  // namespace plumb::store
