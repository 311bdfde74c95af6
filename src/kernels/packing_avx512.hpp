#pragma once
#include <cstdint>

/// Packing loops built with AVX-512 and AVX512-BF16: call only where cpu_has_avx512_bf16() is true.
/// `Half` is a bfloat16 bit pattern.
namespace plumb::kernels {

/// One panel of a transpose: for each pair of rows the groups (row 2s, row 2s + 1) of `valid`
/// columns, zero up to `width`.
/// @param width at most 32
void pair_panel_avx512(const std::uint16_t* from, std::int64_t rows, std::int64_t stride,
                       std::int64_t valid, std::int64_t width, std::uint32_t* to);
void pair_panel_avx512(const float* from, std::int64_t rows, std::int64_t stride,
                       std::int64_t valid, std::int64_t width, std::uint32_t* to);

/// One panel of 32 lines: groups (element 2s, element 2s + 1) of `lines` lines, zero up to 32
/// lines.
/// @param columns elements of a line; an odd last one is paired with zero
void line_panel_avx512(const std::uint16_t* from, std::int64_t lines, std::int64_t columns,
                       std::int64_t stride, std::uint32_t* to);
void line_panel_avx512(const float* from, std::int64_t lines, std::int64_t columns,
                       std::int64_t stride, std::uint32_t* to);

}  // namespace plumb::kernels
