#pragma once
#include <filesystem>
#include <vector>

#include "store/embedded_sql.hpp"
#include "store/sqlite_handle.hpp"

namespace plumb::store {

/// Applies the migrations that are missing, each in a transaction with its record. Throws DataError
/// if a migration that was applied before had another text: then the file's tables are not those
/// this program expects.
void migrate(sqlite3* database, const std::filesystem::path& file,
             const std::vector<Migration>& migrations);

/// Drops all v_ views and makes them from `views` unless the file has them from this very text.
void refresh_views(sqlite3* database, const std::string& views);

/// Gives a read-only connection this program's views as temporary ones if the file's were made from
/// another text.
void shadow_views(sqlite3* database, const std::string& views);

}  // namespace plumb::store
