#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "text/added_tokens.hpp"

namespace plumb {

/// Parses a JSON object. Throws DataError with `source` and the position if it is malformed, nested
/// too deeply, or not an object.
nlohmann::json parse_json(std::string_view text, const std::string& source);

/// What tokenizer_config.json says about a tokenizer, with special_tokens_map.json as its second
/// source.
struct TokenizerSettings {
  std::optional<std::string> bos, eos, cls, sep;  // token strings
  std::optional<bool> add_bos;
  nlohmann::json added_tokens = nlohmann::json::object();  // id -> {content, special, ...}
  bool lowercase = true;                                   // BERT
  std::string original_file;  // the file of the folder that counts, empty: the usual order
};
/// The key of tokenizer_config.json for TokenizerSettings::original_file.
inline constexpr const char* kOriginalFileKey = "original_tokenizer_file";
TokenizerSettings read_settings(const nlohmann::json& config,
                                const nlohmann::json& special_tokens_map);

/// An added token as tokenizer.json and tokenizer_config.json write it.
AddedToken read_added_token(const nlohmann::json& value, std::int32_t id);
/// A number without fraction. Throws DataError naming `what` for anything else.
std::int64_t integer_of(const nlohmann::json& value, const std::string& what);
/// An id written as a key of an object. Throws DataError unless it is a number of at most nine
/// digits.
std::int32_t parse_token_id(const std::string& text);

}  // namespace plumb
