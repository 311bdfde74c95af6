#include "formats/ggml_type.hpp"

#include <array>
#include <utility>

#include "core/error.hpp"

namespace plumb {
namespace {

constexpr std::array<GgmlTypeInfo, 11> kTypes{{
    {GgmlType::kF32, "F32", 1, 4},
    {GgmlType::kF16, "F16", 1, 2},
    {GgmlType::kQ4_0, "Q4_0", 32, 18},
    {GgmlType::kQ4_1, "Q4_1", 32, 20},
    {GgmlType::kQ5_0, "Q5_0", 32, 22},
    {GgmlType::kQ5_1, "Q5_1", 32, 24},
    {GgmlType::kQ8_0, "Q8_0", 32, 34},
    {GgmlType::kQ4_K, "Q4_K", 256, 144},
    {GgmlType::kQ5_K, "Q5_K", 256, 176},
    {GgmlType::kQ6_K, "Q6_K", 256, 210},
    {GgmlType::kBF16, "BF16", 1, 2},
}};

/// Types that exist but are not read, so that the error can name them.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 22> kUnreadable{{
    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
    {34, "TQ1_0"},   {35, "TQ2_0"}, {39, "MXFP4"},  {40, "NVFP4"},
}};

}  // namespace

const GgmlTypeInfo& ggml_type_info(std::uint32_t type, const std::string& where) {
  for (const GgmlTypeInfo& row : kTypes) {
    if (static_cast<std::uint32_t>(row.type) == type) return row;
  }
  std::string name = cat("number ", type);
  for (const auto& [number, known] : kUnreadable) {
    if (number == type) name = known;
  }
  std::string readable;
  for (const GgmlTypeInfo& row : kTypes) {
    readable += (readable.empty() ? "" : ", ") + std::string(row.name);
  }
  throw DataError(
      cat(where, ": tensor type ", name, " is not supported; supported are ", readable));
}

const GgmlTypeInfo& ggml_type_info(GgmlType type) {
  return ggml_type_info(static_cast<std::uint32_t>(type), "tensor");
}

}  // namespace plumb
