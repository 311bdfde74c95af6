#include "service/body_fields.hpp"

#include "core/error.hpp"
#include "service/problem.hpp"

namespace plumb::service {
namespace {

using nlohmann::json;

[[noreturn]] void wrong_type(const json& value, const std::string& name,
                             const std::string& expected) {
  throw Problem(400, cat("\"", name, "\" is a JSON ", value.type_name(), ", expected ", expected),
                name);
}

std::string content_of(const json& value, const std::string& name) {
  if (!value.is_array()) return text_of(value, name);
  std::string text;
  for (const json& part : value) {
    if (!part.is_object() || !part.contains("text"))
      throw Problem(400, cat("\"", name, "\": only parts {\"type\": \"text\", \"text\"} are known"),
                    name);
    text += text_of(part["text"], name + ".text");
  }
  return text;
}

}  // namespace

const json* find_field(const json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

const json& need_field(const json& object, const char* name) {
  const json* value = find_field(object, name);
  if (value == nullptr) throw Problem(400, cat("\"", name, "\" is missing"), name);
  return *value;
}

std::string text_of(const json& value, const std::string& name) {
  if (!value.is_string()) wrong_type(value, name, "a string");
  return value.get<std::string>();
}

std::string text_field(const json& object, const char* name, const std::string& fallback) {
  const json* value = find_field(object, name);
  return value == nullptr ? fallback : text_of(*value, name);
}

bool bool_field(const json& object, const char* name, bool fallback) {
  const json* value = find_field(object, name);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) wrong_type(*value, name, "true or false");
  return value->get<bool>();
}

double number_field(const json& object, const char* name, double fallback, double low,
                    double high) {
  const json* value = find_field(object, name);
  if (value == nullptr) return fallback;
  if (!value->is_number()) wrong_type(*value, name, "a number");
  const double number = value->get<double>();
  if (!(number >= low && number <= high))
    throw Problem(400, cat("\"", name, "\" = ", number, ", expected ", low, " to ", high), name);
  return number;
}

std::int64_t integer_field(const json& object, const char* name, std::int64_t fallback,
                           std::int64_t low, std::int64_t high) {
  const json* value = find_field(object, name);
  if (value == nullptr) return fallback;
  if (!value->is_number_integer()) wrong_type(*value, name, "a whole number");
  number_field(object, name, 0, static_cast<double>(low), static_cast<double>(high));
  return value->get<std::int64_t>();
}

std::vector<std::string> texts_of(const json& value, const std::string& name) {
  if (!value.is_array()) wrong_type(value, name, "a list of strings");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < value.size(); ++i)
    texts.push_back(text_of(value[i], cat(name, "[", i, "]")));
  return texts;
}

std::vector<std::string> one_or_more_texts(const json& value, const std::string& name) {
  if (value.is_string()) return {value.get<std::string>()};
  return texts_of(value, name);
}

std::vector<std::int32_t> ids_of(const json& value, const std::string& name,
                                 std::int64_t vocab_size) {
  if (!value.is_array()) wrong_type(value, name, "a list of token ids");
  std::vector<std::int32_t> ids;
  for (const json& id : value) {
    if (!id.is_number_integer()) wrong_type(id, name, "a list of token ids");
    const auto number = id.get<std::int64_t>();
    if (number < 0 || number >= vocab_size ||
        (id.is_number_unsigned() &&
         id.get<std::uint64_t>() >= static_cast<std::uint64_t>(vocab_size)))
      throw Problem(400,
                    cat("\"", name, "\": token id ", id.dump(), ", expected 0 to ", vocab_size - 1),
                    name);
    ids.push_back(static_cast<std::int32_t>(number));
  }
  return ids;
}

std::vector<Message> messages_of(const json& value, const std::string& name) {
  if (!value.is_array()) wrong_type(value, name, "a list of {role, content}");
  if (value.empty()) throw Problem(400, cat("\"", name, "\" is empty"), name);
  std::vector<Message> messages;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string place = cat(name, "[", i, "]");
    if (!value[i].is_object()) wrong_type(value[i], place, "{role, content}");
    if (!value[i].contains("role") || !value[i].contains("content"))
      throw Problem(400, cat("\"", place, "\": role or content is missing"), place);
    messages.push_back({text_of(value[i]["role"], place + ".role"),
                        content_of(value[i]["content"], place + ".content")});
  }
  return messages;
}

}  // namespace plumb::service
