#include <sqlite3.h>

#include <cmath>
#include <utility>

#include "store/database.hpp"
#include "store/sqlite_error.hpp"

namespace plumb::store {

Statement::Statement(sqlite3_stmt* handle, sqlite3* database)
    : handle_(handle), database_(database) {}
Statement::~Statement() { sqlite3_finalize(handle_); }
Statement::Statement(Statement&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), database_(other.database_) {}
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(database_, other.database_);
  return *this;
}

void Statement::check(int code) const {
  if (code != SQLITE_OK) throw_sql_error(database_, code, sqlite3_sql(handle_));
}

bool Statement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  const std::string sql = sqlite3_sql(handle_);
  try {
    throw_sql_error(database_, code, sql);
  } catch (...) {
    sqlite3_reset(handle_);
    throw;
  }
}

std::int64_t Statement::run() {
  while (step()) {
  }
  const std::int64_t changed = sqlite3_changes64(database_);
  reset();
  return changed;
}

void Statement::reset() { sqlite3_reset(handle_); }

void Statement::bind_one(int index, std::int64_t value) {
  check(sqlite3_bind_int64(handle_, index, value));
}

void Statement::bind_one(int index, double value) {
  if (!std::isfinite(value)) {
    const std::string name = parameter_name(index);
    throw DataError(cat("parameter ", name.empty() ? cat(index) : name, " is ", value,
                        ": only finite numbers can be stored\n  in: ", sqlite3_sql(handle_)));
  }
  check(sqlite3_bind_double(handle_, index, value));
}

void Statement::bind_one(int index, std::string_view value) {
  const char* data = value.data() != nullptr ? value.data() : "";  // a null pointer would bind NULL
  check(sqlite3_bind_text64(handle_, index, data, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::bind_one(int index, std::span<const std::byte> value) {
  if (value.empty()) {
    check(sqlite3_bind_zeroblob(handle_, index, 0));
  } else {
    check(sqlite3_bind_blob64(handle_, index, value.data(), value.size(), SQLITE_TRANSIENT));
  }
}

void Statement::bind_one(int index, std::nullopt_t) { check(sqlite3_bind_null(handle_, index)); }

bool Statement::is_null(int column) const { return type(column) == SQLITE_NULL; }
std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_, column); }
double Statement::real(int column) const { return sqlite3_column_double(handle_, column); }

std::string Statement::text(int column) const {
  const unsigned char* data = sqlite3_column_text(handle_, column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

std::string_view Statement::blob(int column) const {
  const void* data = sqlite3_column_blob(handle_, column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

std::optional<std::int64_t> Statement::optional_integer(int column) const {
  return is_null(column) ? std::nullopt : std::optional(integer(column));
}
std::optional<double> Statement::optional_real(int column) const {
  return is_null(column) ? std::nullopt : std::optional(real(column));
}
std::optional<std::string> Statement::optional_text(int column) const {
  return is_null(column) ? std::nullopt : std::optional(text(column));
}

int Statement::columns() const { return sqlite3_column_count(handle_); }
std::string Statement::column_name(int column) const {
  return sqlite3_column_name(handle_, column);
}
int Statement::type(int column) const { return sqlite3_column_type(handle_, column); }
bool Statement::is_read_only() const { return sqlite3_stmt_readonly(handle_) != 0; }
int Statement::parameters() const { return sqlite3_bind_parameter_count(handle_); }
std::string Statement::parameter_name(int index) const {
  const char* name = sqlite3_bind_parameter_name(handle_, index);
  return name != nullptr ? name : "";
}

}  // namespace plumb::store
