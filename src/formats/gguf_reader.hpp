#pragma once
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "formats/gguf_metadata.hpp"

namespace plumb {

/// Walks over the bytes of a GGUF file; every step is checked against the bytes that are left.
class GgufReader {
 public:
  GgufReader(std::span<const std::byte> file, const std::string& where)
      : file_(file), where_(where) {}

  /// The next `size` bytes. Throws DataError if the file ends before.
  std::string_view bytes(std::uint64_t size);

  /// The next little-endian number; the file need not be aligned.
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }

  /// A u64 length and that many bytes.
  std::string string(std::uint64_t max_bytes);

  /// Checks a count read from the file: at most `most`, and the items (of at least `item_bytes`)
  /// must fit into what is left.
  std::size_t count(std::uint64_t announced, std::size_t item_bytes, std::uint64_t most,
                    const char* what) const;

  std::size_t position() const { return position_; }
  const std::string& where() const { return where_; }

 private:
  std::span<const std::byte> file_;
  const std::string& where_;
  std::size_t position_ = 0;
};

/// Reads `pairs` key-value pairs.
GgufMetadata read_gguf_metadata(GgufReader& reader, std::size_t pairs);

}  // namespace plumb
