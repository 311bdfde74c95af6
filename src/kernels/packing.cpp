#include "kernels/packing.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/bfloat16.hpp"

namespace plumb::kernels {
namespace {

struct Float32Source {
  const float* data;
  std::uint16_t half(std::int64_t i) const { return to_bfloat16(data[i]); }
  float full(std::int64_t i) const { return data[i]; }
};
struct BFloat16Source {
  const std::uint16_t* data;
  std::uint16_t half(std::int64_t i) const { return data[i]; }
  float full(std::int64_t i) const { return from_bfloat16(data[i]); }
};

std::uint32_t pair_of(std::uint16_t first, std::uint16_t second) {
  return first | (static_cast<std::uint32_t>(second) << 16);
}

/// Reads group `step` of line `line`: elements (line, step) or (line, 2 step) and (line, 2 step +
/// 1).
template <class Source>
struct GroupReader {
  Source source;
  std::int64_t line_stride, element_stride, lines, elements;

  std::uint32_t float32(std::int64_t line, std::int64_t step) const {
    if (line >= lines) return 0;
    return std::bit_cast<std::uint32_t>(source.full(line * line_stride + step * element_stride));
  }
  std::uint32_t bfloat16(std::int64_t line, std::int64_t step) const {
    if (line >= lines) return 0;
    const std::int64_t at = line * line_stride + 2 * step * element_stride;
    const std::uint16_t second = 2 * step + 1 < elements ? source.half(at + element_stride) : 0;
    return pair_of(source.half(at), second);
  }
};

/// Steps are taken 16 at a time, so that both the lines read and the panel written stay in the
/// first-level cache.
constexpr std::int64_t kStepBlock = 16;

template <bool kLinesAreRows, class Reader, class Read>
void pack(const Reader& reader, std::int64_t steps, std::byte* panels, std::int64_t first,
          std::int64_t last, Read read) {
  auto* out = reinterpret_cast<std::uint32_t*>(panels) + first * steps * kPanel;
  for (std::int64_t panel = first; panel < last; ++panel, out += steps * kPanel) {
    for (std::int64_t begin = 0; begin < steps; begin += kStepBlock) {
      const std::int64_t end = std::min(steps, begin + kStepBlock);
      if constexpr (kLinesAreRows) {
        for (std::int64_t n = 0; n < kPanel; ++n) {
          for (std::int64_t s = begin; s < end; ++s) {
            out[s * kPanel + n] = read(reader, panel * kPanel + n, s);
          }
        }
      } else {
        for (std::int64_t s = begin; s < end; ++s) {
          for (std::int64_t n = 0; n < kPanel; ++n) {
            out[s * kPanel + n] = read(reader, panel * kPanel + n, s);
          }
        }
      }
    }
  }
}

template <bool kLinesAreRows, class Source>
void pack_source(Source source, const MatrixView& matrix, Element target, std::byte* panels,
                 std::int64_t first, std::int64_t last) {
  const GroupReader<Source> reader =
      kLinesAreRows ? GroupReader<Source>{source, matrix.columns, 1, matrix.rows, matrix.columns}
                    : GroupReader<Source>{source, 1, matrix.columns, matrix.columns, matrix.rows};
  if (target == Element::kFloat32) {
    pack<kLinesAreRows>(reader, reader.elements, panels, first, last,
                        [](const auto& r, auto line, auto step) { return r.float32(line, step); });
  } else {
    pack<kLinesAreRows>(reader, (reader.elements + 1) / 2, panels, first, last,
                        [](const auto& r, auto line, auto step) { return r.bfloat16(line, step); });
  }
}

template <bool kLinesAreRows>
void pack_matrix(const MatrixView& matrix, Element target, std::byte* panels, std::int64_t first,
                 std::int64_t last) {
  if (matrix.element == Element::kFloat32) {
    pack_source<kLinesAreRows>(Float32Source{static_cast<const float*>(matrix.data)}, matrix,
                               target, panels, first, last);
  } else {
    pack_source<kLinesAreRows>(BFloat16Source{static_cast<const std::uint16_t*>(matrix.data)},
                               matrix, target, panels, first, last);
  }
}

}  // namespace

void pack_rows(const MatrixView& matrix, Element target, std::byte* panels, std::int64_t first,
               std::int64_t last) {
  pack_matrix<true>(matrix, target, panels, first, last);
}

void pack_columns(const MatrixView& matrix, Element target, std::byte* panels, std::int64_t first,
                  std::int64_t last) {
  pack_matrix<false>(matrix, target, panels, first, last);
}

}  // namespace plumb::kernels
