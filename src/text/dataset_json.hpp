#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace plumb::dataset {

/// Why a line gives no row; becomes a RejectedLine.
class RowFault : public std::runtime_error {
 public:
  RowFault(std::string code, const std::string& reason)
      : std::runtime_error(reason), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

/// A piece of untrusted text, quoted for a message: printable ASCII, cut to a few words.
std::string printable(std::string_view text);

/// The fields of a line that this program knows, and the names of the others.
struct RowObject {
  nlohmann::json fields = nlohmann::json::object();
  std::vector<std::string> unknown;  // the first few

  /// The value of a field; null where it is absent or null: null says nothing in every optional
  /// field.
  const nlohmann::json& at(const char* name) const;
  bool has(const char* name) const { return !at(name).is_null(); }
  bool present(const char* name) const { return fields.contains(name); }
  /// "prompt", "Chosen", ...: the names for a message.
  std::string names() const;
};

/// Parses one line strictly. Values of unknown fields are read over without being built.
/// Throws RowFault: invalid_utf8, bad_json, not_an_object, duplicate_key, nul_byte, too_deep (64
/// levels).
RowObject parse_row(std::string_view line);

}  // namespace plumb::dataset
