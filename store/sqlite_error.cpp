#include "store/sqlite_error.hpp"

#include <sqlite3.h>

#include <cstring>

#include "core/strings.hpp"

namespace plumb::store {
namespace {

constexpr std::size_t kShownSql = 160;

/// The statement on one line, shortened.
std::string shown(std::string_view sql) {
  std::string out;
  for (const char c : trim(sql)) {
    const bool space = c == '\n' || c == '\t' || c == ' ';
    if (space && !out.empty() && out.back() == ' ') continue;
    out += space ? ' ' : c;
  }
  if (out.size() <= kShownSql) return out;
  out.resize(complete_utf8_prefix(std::string_view(out).substr(0, kShownSql)));
  return out + "...";
}

}  // namespace

std::string advice_for(int code) {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return ": no space is left. Free some and run the same command again; the last unit of work "
             "was rolled back, "
             "everything before it is safe";
    case SQLITE_IOERR:
      return ": the file system failed. Check the disk, its quota and free space, then run the "
             "same command again";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ": another program holds the database. Close it and run the same command again";
    case SQLITE_READONLY:
      return ": the database is open for reading only, or its file or folder may not be written";
    case SQLITE_CORRUPT:
      return ": the file is damaged (cut short, or overwritten). Put a copy back, or save what can "
             "be read with "
             "`sqlite3 FILE .recover | sqlite3 NEW`";
    case SQLITE_NOTADB:
      return ": not an SQLite database";
    case SQLITE_CANTOPEN:
      return ": cannot be opened. Check that the folder exists and may be read";
    default:
      return "";
  }
}

void throw_sql_error(sqlite3* database, int code, std::string_view sql) {
  const char* file = database != nullptr ? sqlite3_db_filename(database, "main") : nullptr;
  std::string message = file != nullptr && *file != '\0' ? cat(file, ": ") : "";
  message += database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(code);
  const int primary = code & 0xff;
  const int system = database != nullptr ? sqlite3_system_errno(database) : 0;
  if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && system != 0) {
    message += cat(" (", std::strerror(system), ")");
  }
  message += advice_for(code);
  if (!sql.empty()) message += cat("\n  in: ", shown(sql));
  throw SqlError(message, primary);
}

}  // namespace plumb::store
