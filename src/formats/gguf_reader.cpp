#include "formats/gguf_reader.hpp"

#include <limits>

#include "core/error.hpp"

namespace plumb {
namespace {

constexpr std::uint64_t kMaxKeyBytes = 1024;
constexpr std::uint64_t kMaxStringBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxItems = std::uint64_t{1} << 24;

/// Types of metadata values; the numbers are those of the format.
enum ValueType : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

/// Smallest number of bytes a value takes. Throws DataError for a type that does not exist or is
/// not allowed in an array.
std::size_t item_bytes(std::uint32_t type, const std::string& where) {
  switch (type) {
    case kU8:
    case kI8:
    case kBool:
      return 1;
    case kU16:
    case kI16:
      return 2;
    case kU32:
    case kI32:
    case kF32:
      return 4;
    case kU64:
    case kI64:
    case kF64:
    case kString:
      return 8;
    case kArray:
      throw DataError(cat(where, ": arrays of arrays are not supported"));
    default:
      throw DataError(cat(where, ": metadata type ", type, " does not exist"));
  }
}

bool is_float(std::uint32_t type) { return type == kF32 || type == kF64; }

bool read_bool(GgufReader& reader) {
  const auto value = reader.number<std::uint8_t>();
  if (value > 1) throw DataError(cat(reader.where(), ": a boolean has the value ", +value));
  return value == 1;
}

std::int64_t read_integer(GgufReader& reader, std::uint32_t type) {
  switch (type) {
    case kU8:
      return reader.number<std::uint8_t>();
    case kI8:
      return reader.number<std::int8_t>();
    case kU16:
      return reader.number<std::uint16_t>();
    case kI16:
      return reader.number<std::int16_t>();
    case kU32:
      return reader.number<std::uint32_t>();
    case kI32:
      return reader.number<std::int32_t>();
    case kI64:
      return reader.number<std::int64_t>();
    case kBool:
      return read_bool(reader) ? 1 : 0;
    default:
      break;
  }
  const auto value = reader.number<std::uint64_t>();
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    throw DataError(cat(reader.where(), ": metadata value ", value, " is too large"));
  }
  return static_cast<std::int64_t>(value);
}

double read_float(GgufReader& reader, std::uint32_t type) {
  return type == kF32 ? static_cast<double>(reader.number<float>()) : reader.number<double>();
}

template <class T, class Read>
std::vector<T> read_items(std::size_t count, Read read) {
  std::vector<T> items;
  items.reserve(count);
  for (std::size_t i = 0; i < count; ++i) items.push_back(read());
  return items;
}

GgufValue read_array(GgufReader& reader) {
  const auto type = reader.number<std::uint32_t>();
  const std::size_t smallest = item_bytes(type, reader.where());
  const auto items =
      reader.count(reader.number<std::uint64_t>(), smallest, kMaxItems, "array items");
  if (type == kString) {
    return read_items<std::string>(items, [&] { return reader.string(kMaxStringBytes); });
  }
  if (is_float(type)) {
    return read_items<double>(items, [&] { return read_float(reader, type); });
  }
  return read_items<std::int64_t>(items, [&] { return read_integer(reader, type); });
}

GgufValue read_value(GgufReader& reader) {
  const auto type = reader.number<std::uint32_t>();
  if (type == kArray) return read_array(reader);
  item_bytes(type, reader.where());
  if (type == kString) return reader.string(kMaxStringBytes);
  if (type == kBool) return read_bool(reader);
  if (is_float(type)) return read_float(reader, type);
  return read_integer(reader, type);
}

}  // namespace

std::string_view GgufReader::bytes(std::uint64_t size) {
  if (size > file_.size() - position_) {
    throw DataError(cat(where_, ": ends at byte ", file_.size(), ", but ", size,
                        " more bytes were announced at byte ", position_,
                        ": truncated or damaged"));
  }
  const char* begin = reinterpret_cast<const char*>(file_.data()) + position_;
  position_ += size;
  return {begin, size};
}

std::string GgufReader::string(std::uint64_t max_bytes) {
  const auto size = number<std::uint64_t>();
  if (size > max_bytes) {
    throw DataError(cat(where_, ": a string of ", size, " bytes at byte ", position_, ", at most ",
                        max_bytes, " are accepted there"));
  }
  return std::string(bytes(size));
}

std::size_t GgufReader::count(std::uint64_t announced, std::size_t item_bytes, std::uint64_t most,
                              const char* what) const {
  if (announced > most || announced > (file_.size() - position_) / item_bytes) {
    throw DataError(cat(where_, ": announces ", announced, " ", what, " at byte ", position_,
                        ", more than the file can hold"));
  }
  return announced;
}

GgufMetadata read_gguf_metadata(GgufReader& reader, std::size_t pairs) {
  GgufMetadata metadata(reader.where());
  for (std::size_t i = 0; i < pairs; ++i) {
    std::string key = reader.string(kMaxKeyBytes);
    metadata.add(std::move(key), read_value(reader));
  }
  return metadata;
}

}  // namespace plumb
