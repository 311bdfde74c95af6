#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace plumb {

/// Tensor types of GGUF files that can be read; the values are those of the format (ggml's `enum
/// ggml_type`).
enum class GgmlType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

struct GgmlTypeInfo {
  GgmlType type;
  std::string_view name;
  std::size_t block_values;  // values of one block
  std::size_t block_bytes;
};

/// Throws DataError naming the type if it cannot be read. @param where  for the error text
const GgmlTypeInfo& ggml_type_info(std::uint32_t type, const std::string& where);
const GgmlTypeInfo& ggml_type_info(GgmlType type);

}  // namespace plumb
