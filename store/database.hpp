#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

/// A thin layer over SQLite: connections, statements, transactions. One connection writes; all
/// others are read-only.
namespace plumb::store {

/// What SQLite refused, with the file, its message, what to do, and the statement.
class SqlError : public DataError {
 public:
  SqlError(const std::string& message, int code) : DataError(message), code_(code) {}
  /// SQLite's primary result code, e.g. 19 for a violated constraint.
  int code() const { return code_; }

 private:
  int code_;
};

/// A compiled statement. Parameters are bound in order by bind(); reset() makes it ready for the
/// next use.
class Statement {
 public:
  ~Statement();
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;

  /// Binds all parameters from the first on and resets the statement before it. Integers, doubles
  /// (NaN and infinity are refused with a DataError that names the parameter), text, blobs,
  /// std::nullopt and optionals of them. Values are copied.
  template <class... Values>
  Statement& bind(const Values&... values) {
    reset();
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  /// Binds one parameter, counted from 1.
  template <class Value>
  void bind_at(int index, const Value& value) {
    bind_one(index, value);
  }
  /// Moves to the next row. @return false after the last. Throws SqlError with SQLite's message and
  /// the statement.
  bool step();
  /// Runs a statement without result rows. @return rows changed
  std::int64_t run();
  void reset();

  bool is_null(int column) const;
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  std::string_view blob(int column) const;  // valid until the next step
  std::optional<std::int64_t> optional_integer(int column) const;
  std::optional<double> optional_real(int column) const;
  std::optional<std::string> optional_text(int column) const;
  int columns() const;
  std::string column_name(int column) const;
  /// Storage class of a value: 1 integer, 2 real, 3 text, 4 blob, 5 NULL.
  int type(int column) const;
  bool is_read_only() const;
  int parameters() const;
  /// Name with its prefix (":run"), or "" for a bare question mark. @param index  from 1
  std::string parameter_name(int index) const;

 private:
  friend class Database;
  Statement(sqlite3_stmt* handle, sqlite3* database);
  void bind_one(int index, std::int64_t value);
  void bind_one(int index, int value) { bind_one(index, static_cast<std::int64_t>(value)); }
  void bind_one(int index, double value);
  void bind_one(int index, const std::string& value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, const char* value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, std::string_view value);
  void bind_one(int index, std::span<const std::byte> value);
  void bind_one(int index, std::nullopt_t);
  template <class Value>
  void bind_one(int index, const std::optional<Value>& value) {
    if (value) {
      bind_one(index, *value);
    } else {
      bind_one(index, std::nullopt);
    }
  }
  void check(int code) const;
  sqlite3_stmt* handle_ = nullptr;
  sqlite3* database_ = nullptr;
};

class Database {
 public:
  /// Opens (or creates) a database as its one writer and brings schema and views up to date. The
  /// second writer on the same file is refused (an advisory lock on FILE.lock, which goes with its
  /// process). Every commit is flushed to the disk (synchronous = FULL): a unit of work costs
  /// seconds to minutes, the flush milliseconds, and a power cut then loses nothing that was
  /// reported as done. Throws DataError: not a database, a database of another program, a newer
  /// schema, no space, ...
  static Database open_writer(const std::filesystem::path& file);
  /// Opens an existing Plumbline database read-only; its views are those of this program even if
  /// the file's are older. Throws DataError as above, or if the file does not exist.
  static Database open_reader(const std::filesystem::path& file);
  ~Database();
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;

  /// Compiles one statement. Throws SqlError.
  Statement prepare(std::string_view sql) const;
  /// The same for text that a user typed: throws UsageError unless it is exactly one statement that
  /// only reads (no ATTACH, no PRAGMA that changes something).
  Statement prepare_read_only(std::string_view sql) const;
  /// Runs one or more statements without parameters.
  void execute(const std::string& sql);
  std::int64_t last_insert_id() const;
  bool in_transaction() const;
  const std::filesystem::path& file() const;
  /// PASSIVE checkpoint of the WAL. `truncate`, at the end of an iteration, also empties the WAL
  /// file unless a reader is in the way, and refreshes the planner's statistics.
  void checkpoint(bool truncate = false);
  static int newest_schema();

 private:
  struct Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// BEGIN IMMEDIATE ... COMMIT; rolls back unless commit() was called. Inside of another transaction
/// it is a savepoint: all or nothing of its own, durable when the outer one commits.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool nested_;
  bool open_ = true;
};

/// Little-endian packed arrays as they stand in BLOB columns; pack() is a view of its argument.
/// unpack throws DataError if the size is not a multiple of four.
std::span<const std::byte> pack(std::span<const float> values);
std::span<const std::byte> pack(std::span<const std::int32_t> values);
std::vector<float> unpack_floats(std::string_view blob);
std::vector<std::int32_t> unpack_ids(std::string_view blob);

}  // namespace plumb::store
