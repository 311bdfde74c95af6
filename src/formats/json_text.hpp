#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

/// JSON of files that somebody else wrote: every complaint is a DataError that names the file.
namespace plumb {

/// Parses any JSON value. Refuses duplicate keys and nesting deeper than 64.
/// @param where  file name for the error texts
nlohmann::json parse_json_value(std::string_view text, const std::string& where);

/// The same, but only an object will do.
nlohmann::json parse_json_object(std::string_view text, const std::string& where);

/// parse_json_value() and parse_json_object() of a file of at most 64 MiB.
nlohmann::json read_json_value(const std::filesystem::path& file);
nlohmann::json read_json_object(const std::filesystem::path& file);

/// Fields of an object. An absent or null field is nullopt; one of another type is a DataError.
std::optional<std::int64_t> find_integer(const nlohmann::json& object, const char* key,
                                         const std::string& where);
std::optional<double> find_number(const nlohmann::json& object, const char* key,
                                  const std::string& where);
std::optional<bool> find_bool(const nlohmann::json& object, const char* key,
                              const std::string& where);
std::optional<std::string> find_string(const nlohmann::json& object, const char* key,
                                       const std::string& where);

/// A whole number that must be there and lie in [low, high].
std::int64_t need_integer(const nlohmann::json& object, const char* key, std::int64_t low,
                          std::int64_t high, const std::string& where);

}  // namespace plumb
