#include "losses/lcs.hpp"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace plumb {
namespace {

using Word = std::uint64_t;
constexpr std::int64_t kBits = 64;

/// LCS lengths of all pairs of suffixes, one bit each (bit-parallel rows after Crochemore et al.
/// 2001, Hyyrö 2004): reading both sequences from their ends, row r has a zero bit wherever one
/// more element of `b` makes the LCS with the last r elements of `a` longer by one.
class SuffixLengths {
 public:
  SuffixLengths(std::span<const std::int32_t> a, std::span<const std::int32_t> b)
      : a_size_(std::ssize(a)), b_size_(std::ssize(b)), words_((b_size_ + kBits - 1) / kBits) {
    std::unordered_map<std::int32_t, std::vector<Word>> where;
    for (std::int64_t j = 0; j < b_size_; ++j) {
      std::vector<Word>& bits = where[b[b_size_ - 1 - j]];
      bits.resize(words_);
      bits[j / kBits] |= Word{1} << (j % kBits);
    }
    rows_.assign((a_size_ + 1) * words_, ~Word{0});
    for (std::int64_t r = 0; r < a_size_; ++r) {
      const Word* from = &rows_[r * words_];
      Word* to = &rows_[(r + 1) * words_];
      const auto found = where.find(a[a_size_ - 1 - r]);
      if (found == where.end()) {
        std::copy_n(from, words_, to);
      } else {
        advance(from, found->second.data(), to);
      }
    }
  }

  /// LCS length of a[i..] and b[j..].
  std::int64_t at(std::int64_t i, std::int64_t j) const {
    const Word* row = &rows_[(a_size_ - i) * words_];
    const std::int64_t count = b_size_ - j;
    std::int64_t zeros = 0;
    for (std::int64_t w = 0; w < count / kBits; ++w) zeros += std::popcount(~row[w]);
    if (count % kBits != 0) {
      zeros += std::popcount(~row[count / kBits] & ((Word{1} << (count % kBits)) - 1));
    }
    return zeros;
  }

 private:
  /// to = (from + (from & matches)) | (from & ~matches), as one number of all words.
  void advance(const Word* from, const Word* matches, Word* to) const {
    Word carry = 0;
    for (std::int64_t w = 0; w < words_; ++w) {
      const Word hit = from[w] & matches[w];
      const Word partial = from[w] + hit;
      const Word sum = partial + carry;
      carry = (partial < hit || sum < partial) ? 1 : 0;
      to[w] = sum | (from[w] & ~matches[w]);
    }
  }

  std::int64_t a_size_, b_size_, words_;
  std::vector<Word> rows_;  // [a_size + 1, words]
};

}  // namespace

std::vector<Match> longest_common_subsequence(std::span<const std::int32_t> a,
                                              std::span<const std::int32_t> b) {
  std::vector<Match> matches;
  if (a.empty() || b.empty()) return matches;
  const SuffixLengths lengths(a, b);
  std::unordered_map<std::int32_t, std::vector<std::int64_t>> positions;
  for (std::int64_t j = 0; j < std::ssize(b); ++j) positions[b[j]].push_back(j);

  std::int64_t j = 0;
  std::int64_t left = lengths.at(0, 0);
  for (std::int64_t i = 0; i < std::ssize(a) && left > 0; ++i) {
    const auto found = positions.find(a[i]);
    if (found == positions.end()) continue;
    const auto next = std::lower_bound(found->second.begin(), found->second.end(), j);
    if (next == found->second.end() || lengths.at(i + 1, *next + 1) + 1 != left) continue;
    matches.push_back({i, *next});
    j = *next + 1;
    --left;
  }
  return matches;
}

}  // namespace plumb
