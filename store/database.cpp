#include "store/database.hpp"

#include <sys/vfs.h>
#include <unistd.h>

#include "core/log.hpp"
#include "store/embedded_sql.hpp"
#include "store/migrate.hpp"
#include "store/read_only_sql.hpp"
#include "store/sqlite_error.hpp"
#include "store/sqlite_handle.hpp"
#include "store/writer_lock.hpp"

namespace plumb::store {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLargeWal = std::int64_t{512} << 20;

fs::path checked_path(const fs::path& file) {
  std::error_code error;
  fs::path path = fs::weakly_canonical(file, error);
  if (error || file.empty()) {
    throw DataError(cat("database ", file, ": ", error ? error.message() : "expected a file name"));
  }
  if (fs::is_directory(path)) {
    throw DataError(cat(path.string(), ": a folder; expected a database file, e.g. ",
                        (path / "run.db").string()));
  }
  return path;
}

/// WAL shares memory between the processes of one machine.
void warn_on_network(const fs::path& folder) {
  struct statfs info {};
  if (statfs(folder.c_str(), &info) != 0) return;
  const auto type = static_cast<std::uint32_t>(info.f_type);
  if (type == 0x6969U || type == 0x517BU || type == 0xFF534D42U || type == 0xFE534D42U) {
    log::warn(cat(
        folder.string(),
        ": a network file system; use this database from one machine only while it is written"));
  }
}

void configure_writer(sqlite3* database, const fs::path& file) {
  run_sql(database,
          "PRAGMA page_size = 16384");  // must come first; without effect on an existing file
  if (query_text(database, "PRAGMA journal_mode = WAL") != "wal") {
    throw DataError(cat(file.string(),
                        ": the file system does not support SQLite's write-ahead log; put the run "
                        "on a local disk"));
  }
  run_sql(database,
          "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON; "
          "PRAGMA cache_size = -65536;"
          "PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864");
}

void configure_reader(sqlite3* database) {
  sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // temp_store first: it drops temporary views.
  run_sql(database, "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY");
  shadow_views(database, embedded_views());
  run_sql(database, "PRAGMA query_only = ON");
}

/// A database in a folder that may not be written has no place for the WAL's index; with no WAL
/// beside it, it can be read as it is.
bool is_frozen(const fs::path& file) {
  std::error_code error;
  return access(file.parent_path().c_str(), W_OK) != 0 &&
         !fs::exists(file.string() + "-wal", error);
}

}  // namespace

struct Database::Impl {
  fs::path file;
  std::unique_ptr<WriterLock> lock;  // outlives the handle
  Handle handle;
};

Database::Database(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Database::~Database() = default;
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;

Database Database::open_writer(const fs::path& file) {
  auto impl = std::make_unique<Impl>();
  impl->file = checked_path(file);
  const fs::path folder = impl->file.parent_path();
  if (!fs::is_directory(folder)) {
    throw DataError(cat(impl->file.string(), ": no folder ", folder.string(), "; make it first"));
  }
  warn_on_network(folder);
  impl->lock = std::make_unique<WriterLock>(impl->file);
  impl->handle = open_handle(impl->file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* database = impl->handle.get();
  check_identity(database, impl->file);
  if (sqlite3_db_readonly(database, "main") == 1) {
    throw DataError(cat(impl->file.string(), ": may not be written; check its permissions"));
  }
  configure_writer(database, impl->file);
  migrate(database, impl->file, embedded_migrations());
  refresh_views(database, embedded_views());
  return Database(std::move(impl));
}

Database Database::open_reader(const fs::path& file) {
  auto impl = std::make_unique<Impl>();
  impl->file = checked_path(file);
  if (!fs::exists(impl->file)) {
    throw DataError(cat(impl->file.string(),
                        ": no such file; expected the database of a run, e.g. runs/NAME/run.db"));
  }
  impl->handle = open_handle(impl->file, SQLITE_OPEN_READONLY, is_frozen(impl->file));
  if (check_identity(impl->handle.get(), impl->file) == Identity::kEmpty) {
    throw DataError(cat(impl->file.string(),
                        ": an empty database; the run that makes it has stored nothing yet"));
  }
  configure_reader(impl->handle.get());
  return Database(std::move(impl));
}

Statement Database::prepare(std::string_view sql) const {
  sqlite3* database = impl_->handle.get();
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) throw_sql_error(database, code, sql);
  expects(statement != nullptr, "a statement to compile");
  return {statement, database};
}

Statement Database::prepare_read_only(std::string_view sql) const {
  sqlite3* database = impl_->handle.get();
  return {compile_read_only(database, sql), database};
}

void Database::execute(const std::string& sql) { run_sql(impl_->handle.get(), sql); }
std::int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(impl_->handle.get());
}
bool Database::in_transaction() const { return sqlite3_get_autocommit(impl_->handle.get()) == 0; }
const fs::path& Database::file() const { return impl_->file; }
int Database::newest_schema() { return static_cast<int>(embedded_migrations().size()); }

void Database::checkpoint(bool truncate) {
  expects(impl_->lock != nullptr, "the writer's connection");
  expects(!in_transaction(), "no open transaction at a checkpoint");
  sqlite3* database = impl_->handle.get();
  if (truncate) run_sql(database, "PRAGMA analysis_limit = 1000; ANALYZE");
  // Without a busy handler a reader in the way costs nothing: the next checkpoint does its work.
  const int timeout = static_cast<int>(query_integer(database, "PRAGMA busy_timeout"));
  sqlite3_busy_timeout(database, 0);
  int pages = 0;
  const int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
  const int code = sqlite3_wal_checkpoint_v2(database, nullptr, mode, &pages, nullptr);
  sqlite3_busy_timeout(database, timeout);
  if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) {
    throw_sql_error(database, code, "checkpoint");
  }
  std::error_code error;
  const auto size = static_cast<std::int64_t>(fs::file_size(impl_->file.string() + "-wal", error));
  if (!error && size > kLargeWal) {
    log::warn(cat(impl_->file.string(), ": its write-ahead log has grown to ", size >> 20,
                  " MiB because a reader keeps an old state open; close long-running queries"));
  }
}

}  // namespace plumb::store
