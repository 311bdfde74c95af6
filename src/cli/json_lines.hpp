#pragma once
#include <cstdint>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "text/chat_template.hpp"

namespace plumb::cli {

/// Lines of standard input, numbered from 1, without their line ends.
class InputLines {
 public:
  explicit InputLines(std::istream& in) : in_(in) {}
  bool next(std::string& line);
  std::int64_t number() const { return number_; }

 private:
  std::istream& in_;
  std::int64_t number_ = 0;
};

/// Parses a line as a JSON object. Throws DataError naming the line.
nlohmann::json parse_object(const std::string& line, std::int64_t number);
/// A field that holds [{role, content}, ...]. Throws DataError naming the line.
std::vector<Message> read_messages(const nlohmann::json& field, std::int64_t number);
/// A field that holds token ids below `vocab_size`. Throws DataError naming the line.
std::vector<std::int32_t> read_ids(const nlohmann::json& object, const std::string& name,
                                   std::int32_t vocab_size, std::int64_t number);
/// One compact line; malformed UTF-8 is replaced.
std::string to_line(const nlohmann::json& value);

}  // namespace plumb::cli
