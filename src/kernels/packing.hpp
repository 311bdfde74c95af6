#pragma once
#include <cstdint>

#include "kernels/tile.hpp"

namespace plumb::kernels {

/// A row-major matrix of float32 or bfloat16 values; columns contiguous.
struct MatrixView {
  const void* data;
  Element element;
  std::int64_t rows, columns;
  std::int64_t stride;  // elements between rows
};

/// Writes panels `first` .. `last`-1 of `matrix`: panels of kPanel along its rows, steps along its
/// columns.
/// @param target float32 from float32, or bfloat16 from either
/// @param panels start of all panels, [ceil(rows / kPanel)][steps][kPanel] groups
void pack_rows(const MatrixView& matrix, Element target, std::byte* panels, std::int64_t first,
               std::int64_t last);

/// The same for the transpose, with panels of any width along its columns and steps along its rows.
/// @param panels start of all panels, [ceil(columns / width)][steps][width] groups
void pack_columns(const MatrixView& matrix, Element target, std::int64_t width, std::byte* panels,
                  std::int64_t first, std::int64_t last);

}  // namespace plumb::kernels
