#pragma once
#include <cstddef>

#include "formats/ggml_type.hpp"

namespace plumb {

/// Values of consecutive blocks as float32, in the arithmetic of ggml's reference (one multiply and
/// one add a value).
/// @param blocks  `count` blocks of ggml_type_info(type).block_bytes each, of any alignment
/// @param out  receives count * block_values floats
void dequantize(GgmlType type, const std::byte* blocks, std::size_t count, float* out);

}  // namespace plumb
