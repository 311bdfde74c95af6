#pragma once
#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

/// Raw connections: opening, one-value queries, and the marks that tell a Plumbline database from
/// others.
namespace plumb::store {

struct CloseHandle {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using Handle = std::unique_ptr<sqlite3, CloseHandle>;

/// application_id of the file format: "PLMB".
inline constexpr std::int64_t kApplicationId = 0x504C4D42;

/// Opens a connection with the settings every connection has: defensive, no double-quoted strings,
/// busy timeout.
/// @param flags  of sqlite3_open_v2   @param immutable  read a file that nobody can be writing,
/// without its WAL
Handle open_handle(const std::filesystem::path& file, int flags, bool immutable = false);

/// Runs statements without results. Throws SqlError.
void run_sql(sqlite3* database, const std::string& sql);
/// First column of the first row as integer or text; 0 or "" if there is none.
std::int64_t query_integer(sqlite3* database, const std::string& sql);
std::string query_text(sqlite3* database, const std::string& sql);

enum class Identity { kEmpty, kPlumbline };
/// Throws DataError if the file is another program's, or newer than this program (naming the
/// version that wrote it).
Identity check_identity(sqlite3* database, const std::filesystem::path& file);

}  // namespace plumb::store
