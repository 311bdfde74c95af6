#pragma once
#include <cstdint>
#include <vector>

namespace plumb {

struct BpeMerge {
  std::int32_t left, right, result;
};

/// The merge rules of a byte-pair encoding, by rank. Const use is thread-safe.
class BpeMerges {
 public:
  /// @param merges lowest rank first; of two rules for one pair the later counts, as in Hugging
  /// Face's library
  explicit BpeMerges(const std::vector<BpeMerge>& merges);
  /// Merges ids[first..) in place: the lowest rank first, leftmost among equals. O(n log n).
  void apply(std::vector<std::int32_t>& ids, std::size_t first) const;

 private:
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFF;
  struct Rule {
    std::uint64_t pair = kNoPair;
    std::uint32_t rank = kNoRank;
    std::int32_t result = 0;
  };
  static constexpr std::uint64_t kNoPair = ~std::uint64_t{0};

  /// Index in rules_ of a pair's rule, or of the free place where it would be.
  std::size_t place_of(std::uint64_t pair) const;
  /// The rule of a pair; rank kNoRank if there is none.
  const Rule& rule(std::int32_t left, std::int32_t right) const;
  void apply_short(std::vector<std::int32_t>& ids, std::size_t first) const;
  void apply_long(std::vector<std::int32_t>& ids, std::size_t first) const;

  std::vector<Rule> rules_;  // open addressing, a power of two
};

}  // namespace plumb
