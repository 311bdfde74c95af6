#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace plumb::dataset {

/// The text of a JSONL file: unpacked if gzip, without byte order mark, at most 4 GiB.
/// Throws DataError, one plain sentence, for what is not JSONL: an empty file, UTF-16 or UTF-32,
/// another archive or a Parquet file, one JSON document over several lines, a JSON array, lines
/// that end in CR alone.
std::string read_text(const std::filesystem::path& file);

/// Walks through the lines of a text: ended by LF, CR before it cut off, blank lines counted but
/// left out.
class Lines {
 public:
  struct Line {
    std::int64_t number;  // 1-based
    std::string_view text;
  };
  explicit Lines(std::string_view text) : rest_(text) {}
  std::optional<Line> next();

 private:
  std::string_view rest_;
  std::int64_t number_ = 0;
};

}  // namespace plumb::dataset
