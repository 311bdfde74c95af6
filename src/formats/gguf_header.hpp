#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "formats/ggml_type.hpp"
#include "formats/gguf_metadata.hpp"

namespace plumb {

struct GgufTensor {
  std::string name;
  std::vector<std::int64_t> shape;  // row-major, outermost first: the file's dimensions reversed
  GgmlType type = GgmlType::kF32;
  std::int64_t values = 0;  // product of the shape
  std::size_t begin = 0;    // first byte, relative to the start of the file
  std::size_t bytes = 0;
};

struct GgufHeader {
  std::uint32_t version = 0;
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in the order of the file
};

/// Reads and checks everything but the weights of a whole mapped GGUF file, version 2 or 3,
/// little-endian (https://github.com/ggml-org/ggml, docs/gguf.md). Every count is checked against
/// the bytes that are left before memory is taken; tensors must lie inside of the file and must not
/// overlap. Throws DataError; never reads outside of `file`.
/// @param where  file name for the error texts
GgufHeader parse_gguf_header(std::span<const std::byte> file, const std::string& where);

}  // namespace plumb
