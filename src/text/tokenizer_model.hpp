#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace plumb {

/// Turns one piece of text, as the pre-tokenizer cut it, into ids.
class PieceModel {
 public:
  virtual ~PieceModel() = default;
  /// Appends to `ids`. @param piece well-formed UTF-8, not empty
  virtual void encode(std::string_view piece, std::vector<std::int32_t>& ids) const = 0;
};

}  // namespace plumb
