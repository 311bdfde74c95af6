#include "cli/json_lines.hpp"

#include <istream>

#include "core/error.hpp"

namespace plumb::cli {
namespace {

std::string at_line(std::int64_t number) { return cat("standard input, line ", number, ": "); }

}  // namespace

bool InputLines::next(std::string& line) {
  if (!std::getline(in_, line)) return false;
  if (!line.empty() && line.back() == '\r') line.pop_back();
  ++number_;
  return true;
}

nlohmann::json parse_object(const std::string& line, std::int64_t number) {
  nlohmann::json value = nlohmann::json::parse(line, nullptr, false);
  if (!value.is_object()) throw DataError(at_line(number) + "expected one JSON object");
  return value;
}

std::vector<Message> read_messages(const nlohmann::json& field, std::int64_t number) {
  std::vector<Message> messages;
  if (field.is_array()) {
    for (const nlohmann::json& one : field) {
      if (!one.is_object() || !one.value("role", nlohmann::json()).is_string() ||
          !one.value("content", nlohmann::json()).is_string()) {
        throw DataError(at_line(number) +
                        "expected messages as [{\"role\": text, \"content\": text}, ...]");
      }
      messages.push_back({one.at("role"), one.at("content")});
    }
  }
  if (messages.empty()) throw DataError(at_line(number) + "expected at least one message");
  return messages;
}

std::vector<std::int32_t> read_ids(const nlohmann::json& object, const std::string& name,
                                   std::int32_t vocab_size, std::int64_t number) {
  const auto field = object.find(name);
  if (field == object.end() || !field->is_array() || field->empty())
    throw DataError(cat(at_line(number), "expected \"", name, "\" as a list of token ids"));
  std::vector<std::int32_t> ids;
  for (const nlohmann::json& one : *field) {
    if (!one.is_number_integer() || one.get<std::int64_t>() < 0 ||
        one.get<std::int64_t>() >= vocab_size) {
      throw DataError(cat(at_line(number), "\"", name, "\" holds ", one.dump(),
                          "; expected token ids from 0 to ", vocab_size - 1));
    }
    ids.push_back(one.get<std::int32_t>());
  }
  return ids;
}

std::string to_line(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace plumb::cli
