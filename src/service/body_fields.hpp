#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "text/chat_template.hpp"

/// Fields of a request body. An absent or null field is nullptr or the fallback; one of another
/// type is a Problem 400 that names it.
namespace plumb::service {

/// nullptr if the field is absent or null.
const nlohmann::json* find_field(const nlohmann::json& object, const char* name);
/// Throws Problem if the field is absent or null.
const nlohmann::json& need_field(const nlohmann::json& object, const char* name);

std::string text_of(const nlohmann::json& value, const std::string& name);
std::string text_field(const nlohmann::json& object, const char* name,
                       const std::string& fallback = "");
bool bool_field(const nlohmann::json& object, const char* name, bool fallback);
std::int64_t integer_field(const nlohmann::json& object, const char* name, std::int64_t fallback,
                           std::int64_t low, std::int64_t high);
double number_field(const nlohmann::json& object, const char* name, double fallback, double low,
                    double high);
std::vector<std::string> texts_of(const nlohmann::json& value, const std::string& name);
/// One text or a list of them.
std::vector<std::string> one_or_more_texts(const nlohmann::json& value, const std::string& name);
/// Token ids from 0 to below `vocab_size`.
std::vector<std::int32_t> ids_of(const nlohmann::json& value, const std::string& name,
                                 std::int64_t vocab_size);
/// [{role, content}, ...]; content is a text or a list of {"type": "text", "text"}.
std::vector<Message> messages_of(const nlohmann::json& value, const std::string& name);

}  // namespace plumb::service
