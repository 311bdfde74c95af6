#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace plumb {

/// The command line or a config file is wrong: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file, a model, a database or a row is wrong or cannot be used: exit code 3.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A broken promise between two parts of this program: exit code 70.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Joins its arguments with operator<<, e.g. `cat("row ", 3, ": bad")`.
template <class... Args>
std::string cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

/// Throws InternalError naming the caller when a precondition does not hold.
inline void expects(bool condition, const char* what, const char* file = __builtin_FILE(),
                    int line = __builtin_LINE()) {
  if (!condition) throw InternalError(cat(file, ":", line, ": expected ", what));
}

}  // namespace plumb
