#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

/// Counts over word tokens (text/words.hpp), shared by the rewards and by evaluation.
namespace plumb {

using Words = std::span<const std::string_view>;

struct NgramCounts {
  std::int64_t total = 0;
  std::int64_t unique = 0;
  /// Share of distinct n-grams in [0, 1]; 1 if there are none.
  double ratio() const;
};

/// Numbers n-grams exactly (no hash collisions): equal n-grams of all texts given to one table get
/// equal numbers.
class NgramTable {
 public:
  explicit NgramTable(std::size_t n);
  /// Number of each n-gram of the text, in order; empty if the text has fewer than n words.
  std::vector<std::uint32_t> number(Words words);
  /// Distinct n-grams seen so far; numbers are 0 .. size()-1 in order of appearance.
  std::size_t size() const;

 private:
  std::size_t n_;
  std::unordered_map<std::string_view, std::uint32_t> words_;
  std::vector<std::unordered_map<std::uint64_t, std::uint32_t>>
      longer_;  // (number of the first k words, next word)
};

/// N-grams of a text. The ratio for n = 3 is the repetition penalty RP of R^3 (arXiv 2402.03469);
/// for n = 1, 2 it is distinct-1 and distinct-2 (arXiv 1510.03055). Case-sensitive.
NgramCounts count_ngrams(Words words, std::size_t n);

/// LI of R^3: words / divisor, at most `cap`; cap 0 = uncapped.
double length_incentive(std::size_t words, double divisor, double cap);

/// Share of the response's n-grams that also stand in the prompt, in [0, 1]; 0 if the response has
/// none.
double copy_rate(Words response, Words prompt, std::size_t n);

}  // namespace plumb
