#pragma once
#include <sqlite3.h>

#include <string_view>

namespace plumb::store {

/// Compiles exactly one statement that only reads: SELECT, EXPLAIN, or a PRAGMA that reports.
/// Throws UsageError. The caller owns the statement.
sqlite3_stmt* compile_read_only(sqlite3* database, std::string_view sql);

}  // namespace plumb::store
