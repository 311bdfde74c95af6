#include "store/sqlite_handle.hpp"

#include "core/error.hpp"
#include "store/embedded_sql.hpp"
#include "store/sqlite_error.hpp"

namespace plumb::store {
namespace {

constexpr int kBusyTimeoutMs = 10000;

/// file: URI of a path, so that the connection can be marked immutable.
std::string uri_of(const std::filesystem::path& file) {
  std::string out = "file:";
  for (const char c : file.string()) {
    if (c == '%' || c == '?' || c == '#') {
      constexpr char kDigits[] = "0123456789ABCDEF";
      out += {'%', kDigits[static_cast<unsigned char>(c) >> 4],
              kDigits[static_cast<unsigned char>(c) & 15]};
    } else {
      out += c;
    }
  }
  return out + "?immutable=1";
}

template <class Read>
auto first_value(sqlite3* database, const std::string& sql, Read read) {
  sqlite3_stmt* statement = nullptr;
  int code = sqlite3_prepare_v2(database, sql.c_str(), -1, &statement, nullptr);
  if (code == SQLITE_OK) code = sqlite3_step(statement);
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> owner(statement, sqlite3_finalize);
    throw_sql_error(database, code, sql);
  }
  auto value = read(code == SQLITE_ROW ? statement : nullptr);
  sqlite3_finalize(statement);
  return value;
}

[[noreturn]] void refuse_newer(sqlite3* database, const std::filesystem::path& file,
                               std::int64_t version) {
  std::string writer = "a newer plumb";
  try {
    const std::string program =
        query_text(database, "SELECT program FROM migrations ORDER BY version DESC LIMIT 1");
    if (!program.empty()) writer = "plumb " + program;
  } catch (const SqlError&) {  // NOLINT: its table of migrations may differ from ours
  }
  throw DataError(cat(file.string(), ": schema ", version, ", written by ", writer,
                      "; this is plumb " PLUMB_VERSION, ", which knows schema ",
                      embedded_migrations().size(), " at most. Use ", writer,
                      " or a later version"));
}

}  // namespace

Handle open_handle(const std::filesystem::path& file, int flags, bool immutable) {
  sqlite3* raw = nullptr;
  const std::string name = immutable ? uri_of(file) : file.string();
  const int code =
      sqlite3_open_v2(name.c_str(), &raw, flags | (immutable ? SQLITE_OPEN_URI : 0), nullptr);
  Handle database(raw);
  if (code != SQLITE_OK) {
    throw DataError(cat(file.string(), ": ",
                        raw != nullptr ? sqlite3_errmsg(raw) : sqlite3_errstr(code),
                        advice_for(code)));
  }
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return database;
}

void run_sql(sqlite3* database, const std::string& sql) {
  const int code = sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw_sql_error(database, code, sql);
}

std::int64_t query_integer(sqlite3* database, const std::string& sql) {
  return first_value(database, sql, [](sqlite3_stmt* row) {
    return row != nullptr ? sqlite3_column_int64(row, 0) : 0;
  });
}

std::string query_text(sqlite3* database, const std::string& sql) {
  return first_value(database, sql, [](sqlite3_stmt* row) -> std::string {
    const unsigned char* text = row != nullptr ? sqlite3_column_text(row, 0) : nullptr;
    return text != nullptr ? reinterpret_cast<const char*>(text) : "";
  });
}

Identity check_identity(sqlite3* database, const std::filesystem::path& file) {
  const std::int64_t application = query_integer(database, "PRAGMA application_id");
  const std::int64_t version = query_integer(database, "PRAGMA user_version");
  if (application == kApplicationId) {
    if (version > static_cast<std::int64_t>(embedded_migrations().size())) {
      refuse_newer(database, file, version);
    }
    return version > 0 ? Identity::kPlumbline : Identity::kEmpty;
  }
  if (application == 0 && version == 0 &&
      query_integer(database, "SELECT count(*) FROM sqlite_schema") == 0) {
    return Identity::kEmpty;
  }
  throw DataError(cat(file.string(), ": an SQLite database of another program (application_id ",
                      application, ", expected ", kApplicationId,
                      "). Name a database that plumb made, or a new file"));
}

}  // namespace plumb::store
