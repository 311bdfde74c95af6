#include "text/token_range.hpp"

#include <algorithm>
#include <ranges>

namespace plumb {

std::pair<std::int64_t, std::int64_t> tokens_over(const Tokenizer& tokenizer,
                                                  std::span<const std::int32_t> ids,
                                                  std::size_t begin, std::size_t end) {
  const auto counts = std::views::iota(std::size_t{0}, ids.size() + 1);
  const auto bytes = [&](std::size_t count) { return tokenizer.decode(ids.first(count)).size(); };
  const auto first_reaching = [&](auto&& reached) {
    return static_cast<std::int64_t>(*std::ranges::partition_point(
        counts, [&](std::size_t count) { return count < ids.size() && !reached(bytes(count)); }));
  };
  const std::int64_t last = first_reaching([&](std::size_t size) { return size >= end; });
  if (begin == end) return {last, last};
  const std::int64_t past = first_reaching([&](std::size_t size) { return size > begin; });
  return {std::max<std::int64_t>(0, past - 1), last};
}

}  // namespace plumb
