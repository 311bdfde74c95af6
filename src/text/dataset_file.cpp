#include "text/dataset_file.hpp"

#include <zlib.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/strings.hpp"

namespace plumb::dataset {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 32;

using Bytes = std::string_view;
constexpr Bytes kGzip("\x1F\x8B", 2);

struct Signature {
  Bytes bytes;
  const char* found;
  const char* advice;
};
constexpr Signature kForeign[] = {
    {Bytes("\xFF\xFE\0\0", 4), "UTF-32 text", "save it as UTF-8"},
    {Bytes("\0\0\xFE\xFF", 4), "UTF-32 text", "save it as UTF-8"},
    {Bytes("\xFF\xFE", 2), "UTF-16 text", "save it as UTF-8"},
    {Bytes("\xFE\xFF", 2), "UTF-16 text", "save it as UTF-8"},
    {Bytes("{\0", 2), "UTF-16 text", "save it as UTF-8"},
    {Bytes("\0{", 2), "UTF-16 text", "save it as UTF-8"},
    {Bytes("PAR1", 4), "a Parquet file", "export it as JSON lines"},
    {Bytes("ARROW1", 6), "an Arrow file", "export it as JSON lines"},
    {Bytes("PK\x03\x04", 4), "a zip archive", "unpack it (gzip is read as it is)"},
    {Bytes("BZh", 3), "compressed by bzip2", "unpack it (gzip is read as it is)"},
    {Bytes("\xFD"
           "7zXZ",
           5),
     "compressed by xz", "unpack it (gzip is read as it is)"},
    {Bytes("\x28\xB5\x2F\xFD", 4), "compressed by zstd", "unpack it (gzip is read as it is)"},
    {Bytes("SQLite format 3", 15), "an SQLite database", "export its rows as JSON lines"},
};

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& found,
                         const std::string& advice) {
  throw DataError(cat(file.string(), ": is ", found,
                      ", expected JSONL (one JSON object a line, UTF-8): ", advice));
}

/// Inflates all members of a gzip file.
std::string gunzip(Bytes packed, const std::filesystem::path& file) {
  z_stream stream{};
  expects(inflateInit2(&stream, MAX_WBITS + 16) == Z_OK, "zlib to start");
  std::string text, buffer(std::size_t{1} << 18, '\0');
  const auto fail = [&](const char* why) {
    inflateEnd(&stream);
    throw DataError(cat(file.string(), ": damaged gzip file: ", why));
  };
  while (true) {
    if (stream.avail_in == 0) {
      if (packed.empty()) fail("it ends too early");
      const std::size_t take = std::min<std::size_t>(packed.size(), std::size_t{1} << 30);
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
      stream.avail_in = static_cast<uInt>(take);
      packed.remove_prefix(take);
    }
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    const int status = inflate(&stream, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      fail("its contents are not what was packed");
    }
    text.append(buffer, 0, buffer.size() - stream.avail_out);
    if (text.size() > kMaxBytes) fail("it unpacks to more than 4 GiB");
    if (status == Z_STREAM_END) {
      if (stream.avail_in == 0 && packed.empty()) break;
      inflateReset(&stream);
    }
  }
  inflateEnd(&stream);
  return text;
}

bool is_json_object(Bytes line) {
  // Iterative and without building values: safe for hostile input.
  return line.starts_with('{') && nlohmann::json::accept(line);
}

/// One JSON document (an array, or an object over several lines) where rows were expected.
void refuse_document(Bytes text, const std::filesystem::path& file) {
  Lines lines(text);
  const Bytes first = trim(lines.next()->text);
  const bool one_line = !lines.next();
  if (first.starts_with('[') && (one_line || !nlohmann::json::accept(first))) {
    refuse(file, "a JSON array", "write each element on a line of its own (jq -c '.[]')");
  }
  if (first.starts_with('{') && !one_line) {
    Lines all(text);
    while (const auto line = all.next()) {
      if (is_json_object(trim(line->text))) return;
    }
    if (nlohmann::json::accept(text)) {
      refuse(file, "one JSON object over several lines", "write each row on one line (jq -c .)");
    }
  }
}

}  // namespace

std::optional<Lines::Line> Lines::next() {
  while (!rest_.empty()) {
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    ++number_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!trim(line).empty()) return Line{number_, line};
  }
  return std::nullopt;
}

std::string read_text(const std::filesystem::path& file) {
  std::string text = read_file(file, kMaxBytes);
  if (text.starts_with(kGzip)) text = gunzip(text, file);
  for (const Signature& signature : kForeign) {
    if (text.starts_with(signature.bytes)) refuse(file, signature.found, signature.advice);
  }
  constexpr Bytes kMark = "\xEF\xBB\xBF";
  if (text.starts_with(kMark)) text.erase(0, kMark.size());
  if (!Lines(text).next()) {
    throw DataError(cat(file.string(), ": is empty, expected at least one row of JSON"));
  }
  const std::size_t carriage = text.find('\r');
  if (text.find('\n') == std::string::npos && carriage != std::string::npos &&
      carriage + 1 < text.size()) {
    refuse(file, "one line with CR ends (old Mac)", "convert its line ends to LF");
  }
  refuse_document(text, file);
  return text;
}

}  // namespace plumb::dataset
