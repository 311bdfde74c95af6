#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// A thin layer over SQLite: connections, statements, transactions. One connection writes; all others are read-only.
namespace plumb::store {

/// A compiled statement. Parameters are bound in order by bind(); reset() makes it ready for the next use.
class Statement {
 public:
  ~Statement();
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;

  /// Binds all parameters from the first on and resets the statement before it. Integers, doubles (NaN is refused), text, blobs,
  /// std::nullopt and optionals of them.
  template <class... Values>
  Statement& bind(const Values&... values) {
    reset();
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  /// Moves to the next row. @return false after the last. Throws DataError with SQLite's message and the statement.
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

 private:
  friend class Database;
  Statement(struct sqlite3_stmt* handle, struct sqlite3* database);
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
  struct sqlite3_stmt* handle_ = nullptr;
  struct sqlite3* database_ = nullptr;
};

class Database {
 public:
  /// Opens (or creates) a database as its one writer and brings the schema up to date. The second writer on the same file is refused
  /// (an advisory lock file beside it). Throws DataError: not a database, a database of another program, a newer schema, no space, ...
  static Database open_writer(const std::filesystem::path& file);
  /// Opens an existing Plumbline database read-only. Throws DataError as above, or if the file does not exist.
  static Database open_reader(const std::filesystem::path& file);
  ~Database();
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;

  Statement prepare(std::string_view sql) const;
  /// Runs one or more statements without parameters.
  void execute(const std::string& sql);
  std::int64_t last_insert_id() const;
  const std::filesystem::path& file() const;
  /// PASSIVE checkpoint of the WAL; `truncate` at the end of an iteration.
  void checkpoint(bool truncate = false);
  static int newest_schema();

 private:
  struct Impl;
  explicit Database(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// BEGIN IMMEDIATE ... COMMIT; rolls back unless commit() was called.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

/// Little-endian packed arrays as they stand in BLOB columns. unpack throws DataError if the size is not a multiple of four.
std::span<const std::byte> pack(std::span<const float> values);
std::span<const std::byte> pack(std::span<const std::int32_t> values);
std::vector<float> unpack_floats(std::string_view blob);
std::vector<std::int32_t> unpack_ids(std::string_view blob);

}  // namespace plumb::store
