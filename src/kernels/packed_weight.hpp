#pragma once
#include "kernels/kernels.hpp"
#include "kernels/tile.hpp"

namespace plumb::kernels {

/// Either panels (see tile.hpp) or the plain matrix.
struct PackedWeight::Storage {
  std::int64_t outputs = 0, inputs = 0;
  Precision precision = Precision::kFloat32;
  bool transposed = false;  // packed from [inputs, outputs]
  at::Tensor panels;        // uint8 [ceil(outputs/32), steps, 32 * 4]; undefined: portable
  at::Tensor
      plain;  // [outputs, inputs], a view of a transpose where `transposed`; undefined: packed

  bool packed() const { return panels.defined(); }
  std::int64_t steps() const { return panels.size(1); }
};

inline Element packed_element(Precision precision) {
  return precision == Precision::kBFloat16 ? Element::kBFloat16 : Element::kFloat32;
}

inline Element element_of(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kBFloat16 ? Element::kBFloat16 : Element::kFloat32;
}

}  // namespace plumb::kernels
