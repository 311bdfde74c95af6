#include "text/tokenizer_json.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace plumb {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;

/// Nesting of brackets outside of strings; the text need not be well-formed.
int depth_of(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
    if (c == ']' || c == '}') --depth;
  }
  return deepest;
}

/// A token given as a string or as {"content": ...}.
std::optional<std::string> token_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object() && found->contains("content"))
    return found->at("content").get<std::string>();
  return std::nullopt;
}

}  // namespace

json parse_json(std::string_view text, const std::string& source) {
  if (depth_of(text) > kDeepest)
    throw DataError(cat(source, ": nested more than ", kDeepest, " levels deep"));
  try {
    json parsed = json::parse(text);
    if (!parsed.is_object())
      throw DataError(cat(source, ": a JSON ", parsed.type_name(), ", expected an object"));
    return parsed;
  } catch (const json::exception& error) {
    throw DataError(cat(source, ": not valid JSON: ", error.what()));
  }
}

TokenizerSettings read_settings(const json& config, const json& special_tokens_map) {
  const auto token = [&](const char* key) {
    const std::optional<std::string> found = token_of(config, key);
    return found ? found : token_of(special_tokens_map, key);
  };
  TokenizerSettings settings;
  settings.bos = token("bos_token");
  settings.eos = token("eos_token");
  settings.cls = token("cls_token");
  settings.sep = token("sep_token");
  if (const auto found = config.find("add_bos_token");
      found != config.end() && found->is_boolean()) {
    settings.add_bos = found->get<bool>();
  }
  if (const auto found = config.find("added_tokens_decoder");
      found != config.end() && found->is_object()) {
    settings.added_tokens = *found;
  }
  settings.lowercase = config.value("do_lower_case", true);
  settings.original_file = config.value(kOriginalFileKey, "");
  return settings;
}

AddedToken read_added_token(const json& value, std::int32_t id) {
  return {id,
          value.at("content").get<std::string>(),
          value.value("single_word", false),
          value.value("lstrip", false),
          value.value("rstrip", false),
          value.value("normalized", true),
          value.value("special", false)};
}

std::int64_t integer_of(const json& value, const std::string& what) {
  if (!value.is_number_integer())
    throw DataError(cat(what, ": ", value.dump(), ", expected a whole number"));
  return value.get<std::int64_t>();
}

std::int32_t parse_token_id(const std::string& text) {
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  if (text.empty() || text.size() > 9 || !digits)
    throw DataError(cat("'", text, "' is not a token id"));
  return std::stoi(text);
}

}  // namespace plumb
