#include "formats/json_text.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <vector>

#include "core/error.hpp"
#include "core/files.hpp"

namespace plumb {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;

/// The value behind `key`, or nullptr if it is absent or null.
const json* find(const json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

[[noreturn]] void wrong_type(const json& value, const char* key, const char* expected,
                             const std::string& where) {
  throw DataError(cat(where, ": \"", key, "\" is a ", value.type_name(), ", expected ", expected));
}

}  // namespace

json parse_json_value(std::string_view text, const std::string& where) {
  std::vector<std::unordered_set<std::string>> keys_at(kMaxDepth + 2);
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > kMaxDepth) {
      throw DataError(cat(where, ": JSON nested deeper than ", kMaxDepth, " levels"));
    }
    auto& keys = keys_at[static_cast<std::size_t>(depth) + 1];
    if (event == json::parse_event_t::object_start) keys.clear();
    if (event == json::parse_event_t::key &&
        !keys_at[static_cast<std::size_t>(depth)].insert(value.get<std::string>()).second) {
      throw DataError(cat(where, ": duplicate key ", value.dump()));
    }
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::parse_error& error) {
    throw DataError(cat(where, ": not valid JSON near byte ", error.byte));
  } catch (const json::exception& error) {
    throw DataError(cat(where, ": not readable JSON: ", error.what()));
  }
}

json parse_json_object(std::string_view text, const std::string& where) {
  json parsed = parse_json_value(text, where);
  if (!parsed.is_object()) {
    throw DataError(cat(where, ": holds a JSON ", parsed.type_name(), ", expected an object"));
  }
  return parsed;
}

json read_json_value(const std::filesystem::path& file) {
  return parse_json_value(read_file(file, kMaxFileBytes), file.string());
}

json read_json_object(const std::filesystem::path& file) {
  return parse_json_object(read_file(file, kMaxFileBytes), file.string());
}

std::optional<std::int64_t> find_integer(const json& object, const char* key,
                                         const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer() ||
      (value->is_number_unsigned() &&
       value->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())) {
    wrong_type(*value, key, "a 64-bit whole number", where);
  }
  return value->get<std::int64_t>();
}

std::optional<double> find_number(const json& object, const char* key, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong_type(*value, key, "a number", where);
  return value->get<double>();
}

std::optional<bool> find_bool(const json& object, const char* key, const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong_type(*value, key, "true or false", where);
  return value->get<bool>();
}

std::optional<std::string> find_string(const json& object, const char* key,
                                       const std::string& where) {
  const json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong_type(*value, key, "a string", where);
  return value->get<std::string>();
}

std::int64_t need_integer(const json& object, const char* key, std::int64_t low, std::int64_t high,
                          const std::string& where) {
  const std::optional<std::int64_t> value = find_integer(object, key, where);
  if (!value) throw DataError(cat(where, ": \"", key, "\" is missing"));
  if (*value < low || *value > high) {
    throw DataError(cat(where, ": \"", key, "\" = ", *value, ", expected ", low, " to ", high));
  }
  return *value;
}

}  // namespace plumb
