#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plumb {

/// Element types this program reads, in the order the reference library sorts them when it writes
/// (ascending).
enum class SafetensorsDtype { kBool, kU8, kI8, kI16, kF16, kBF16, kI32, kF32, kF64, kI64 };

/// "F32", "BF16", ...
std::string_view name_of(SafetensorsDtype dtype);
std::size_t bytes_of(SafetensorsDtype dtype);

/// One tensor of a file, row-major, little-endian.
struct SafetensorsTensor {
  std::string name;
  SafetensorsDtype dtype = SafetensorsDtype::kF32;
  std::vector<std::int64_t> shape;  // empty for a scalar
  std::size_t begin = 0, end = 0;   // bytes relative to the data section
};

struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors;       // in the order of their bytes
  std::map<std::string, std::string> metadata;  // `__metadata__`
  std::size_t data_begin = 0;                   // where the data section starts in the file
};

/// Reads and checks the header of a whole mapped file: u64 length N, N bytes of JSON, data to the
/// end of the file (https://github.com/huggingface/safetensors, "Format"). Refuses what the
/// reference library refuses (holes, overlaps, wrong sizes, overflow, bytes after the last tensor),
/// and also duplicate names, unknown fields and a header that does not start with
/// `{`, which the library lets pass. Throws DataError; never reads outside of `file`.
/// @param where  file name for the error texts
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file,
                                           const std::string& where);

/// Sorts tensors as the reference library does (dtype descending, then name), sets their offsets,
/// and returns the bytes that precede the data section: length, JSON, spaces up to a multiple of 8.
std::string make_safetensors_header(std::vector<SafetensorsTensor>& tensors,
                                    const std::map<std::string, std::string>& metadata);

}  // namespace plumb
