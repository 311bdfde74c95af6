#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace plumb {

/// Every integer width of the format is read as int64, every float as double; arrays of bool as 0
/// and 1.
using GgufValue = std::variant<std::int64_t, double, bool, std::string, std::vector<std::int64_t>,
                               std::vector<double>, std::vector<std::string>>;

/// Key-value part of a GGUF file. Lookups return nothing for an absent key and throw DataError for
/// one of another type.
class GgufMetadata {
 public:
  explicit GgufMetadata(std::string where = "") : where_(std::move(where)) {}

  /// Throws DataError for a duplicate key.
  void add(std::string key, GgufValue value);
  bool has(const std::string& key) const { return values_.contains(key); }
  std::size_t size() const { return values_.size(); }

  std::optional<std::int64_t> integer(const std::string& key) const;
  std::optional<double> number(const std::string& key) const;  // integers count as numbers
  std::optional<bool> boolean(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;
  const std::vector<std::int64_t>* integers(const std::string& key) const;
  const std::vector<double>* numbers(const std::string& key) const;
  const std::vector<std::string>* texts(const std::string& key) const;

  /// An integer that must be there and lie in [low, high].
  std::int64_t need_integer(const std::string& key, std::int64_t low, std::int64_t high) const;
  const std::string& where() const { return where_; }

 private:
  template <class T>
  const T* find(const std::string& key, const char* expected) const;

  std::string where_;
  std::map<std::string, GgufValue> values_;
};

}  // namespace plumb
