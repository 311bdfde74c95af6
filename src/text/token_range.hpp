#pragma once
#include <cstdint>
#include <span>
#include <utility>

#include "text/tokenizer.hpp"

namespace plumb {

/// The tokens that hold bytes [begin, end) of the text that `ids` decode to, as a half-open range;
/// an empty range of bytes gives an empty range where it stands. Decodes a few prefixes of `ids`,
/// so the cost grows with their number times its logarithm.
std::pair<std::int64_t, std::int64_t> tokens_over(const Tokenizer& tokenizer,
                                                  std::span<const std::int32_t> ids,
                                                  std::size_t begin, std::size_t end);

}  // namespace plumb
