#pragma once
#include <string_view>

#include "store/database.hpp"

namespace plumb::store {

/// Throws SqlError for a result code: the file, what SQLite says, what the user can do, and the
/// statement it happened in (shortened; may be "").
[[noreturn]] void throw_sql_error(sqlite3* database, int code, std::string_view sql);

/// The advice for a result code, or "". Begins with ": ".
std::string advice_for(int code);

}  // namespace plumb::store
