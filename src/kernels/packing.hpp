#pragma once
#include <cstdint>

#include "kernels/tile.hpp"

namespace plumb::kernels {

/// A row-major matrix of float32 or bfloat16 values.
struct MatrixView {
  const void* data;
  Element element;
  std::int64_t rows, columns;
};

/// Writes panels `first` .. `last`-1 of `matrix` (panels along its rows, steps along its columns)
/// in `target` elements.
void pack_rows(const MatrixView& matrix, Element target, std::byte* panels, std::int64_t first,
               std::int64_t last);
/// The same for its transpose: panels along its columns, steps along its rows.
void pack_columns(const MatrixView& matrix, Element target, std::byte* panels, std::int64_t first,
                  std::int64_t last);

}  // namespace plumb::kernels
