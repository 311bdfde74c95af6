#include "store/migrate.hpp"

#include "core/error.hpp"
#include "core/hash.hpp"
#include "store/sqlite_error.hpp"

namespace plumb::store {
namespace {

/// SQL between BEGIN IMMEDIATE and COMMIT, rolled back when it fails.
void run_whole(sqlite3* database, const std::string& sql) {
  try {
    run_sql(database, "BEGIN IMMEDIATE;\n" + sql + ";\nCOMMIT;");
  } catch (const SqlError&) {
    if (sqlite3_get_autocommit(database) == 0) {
      sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    throw;
  }
}

std::string stored_hash_of_views(sqlite3* database) {
  return query_text(database, "SELECT sha256 FROM view_version");
}

}  // namespace

void migrate(sqlite3* database, const std::filesystem::path& file,
             const std::vector<Migration>& migrations) {
  const std::int64_t have = query_integer(database, "PRAGMA user_version");
  for (std::size_t i = 0; i < migrations.size(); ++i) {
    const auto version = static_cast<std::int64_t>(i) + 1;
    const std::string hash = sha256_hex(migrations[i].sql);
    if (version <= have) {
      const std::string applied =
          query_text(database, cat("SELECT sha256 FROM migrations WHERE version=", version));
      if (applied == hash) continue;
      const std::string program =
          query_text(database, cat("SELECT program FROM migrations WHERE version=", version));
      throw DataError(cat(file.string(), ": its schema ", version, " was made by plumb ", program,
                          " from another text than this program's ", migrations[i].name,
                          ". Go on with the plumb that made it, or start a new database"));
    }
    run_whole(database, cat(migrations[i].sql,
                            ";\nINSERT INTO migrations(version, name, sha256, program) VALUES(",
                            version, ",'", migrations[i].name, "','", hash,
                            "','" PLUMB_VERSION "');\nPRAGMA application_id = ", kApplicationId,
                            ";\nPRAGMA user_version = ", version));
  }
}

void refresh_views(sqlite3* database, const std::string& views) {
  const std::string hash = sha256_hex(views);
  if (stored_hash_of_views(database) == hash) return;
  const std::string drops = query_text(database,
                                       "SELECT group_concat('DROP VIEW '||name, ';') FROM "
                                       "sqlite_schema WHERE type='view' AND name GLOB 'v_*'");
  run_whole(database, cat(drops, ";\n", views, ";\nINSERT INTO view_version VALUES(1,'", hash,
                          "') ON CONFLICT DO UPDATE SET sha256=excluded.sha256"));
}

void shadow_views(sqlite3* database, const std::string& views) {
  if (stored_hash_of_views(database) == sha256_hex(views)) return;
  constexpr std::string_view kCreate = "CREATE VIEW ";
  std::string temporary = views;
  for (std::size_t at = temporary.find(kCreate); at != std::string::npos;
       at = temporary.find(kCreate, at + 1)) {
    temporary.replace(at, kCreate.size(), "CREATE TEMP VIEW ");
  }
  run_sql(database, temporary);
}

}  // namespace plumb::store
