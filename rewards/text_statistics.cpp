#include "rewards/text_statistics.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace plumb {

double NgramCounts::ratio() const {
  return total == 0 ? 1.0 : static_cast<double>(unique) / static_cast<double>(total);
}

NgramTable::NgramTable(std::size_t n) : n_(n), longer_(n == 0 ? 0 : n - 1) {
  expects(n >= 1, "n-grams of at least one word");
}

std::vector<std::uint32_t> NgramTable::number(Words words) {
  if (words.size() < n_) return {};
  std::vector<std::uint32_t> word_numbers;
  word_numbers.reserve(words.size());
  for (const std::string_view word : words) {
    word_numbers.push_back(
        words_.try_emplace(word, static_cast<std::uint32_t>(words_.size())).first->second);
  }
  std::vector<std::uint32_t> numbers = word_numbers;
  for (std::size_t k = 0; k < longer_.size(); ++k) {
    auto& known = longer_[k];
    numbers.pop_back();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const std::uint64_t key = std::uint64_t{numbers[i]} << 32 | word_numbers[i + k + 1];
      numbers[i] = known.try_emplace(key, static_cast<std::uint32_t>(known.size())).first->second;
    }
  }
  return numbers;
}

std::size_t NgramTable::size() const {
  return longer_.empty() ? words_.size() : longer_.back().size();
}

NgramCounts count_ngrams(Words words, std::size_t n) {
  NgramTable table(n);
  const std::size_t total = table.number(words).size();
  return {static_cast<std::int64_t>(total), static_cast<std::int64_t>(table.size())};
}

double length_incentive(std::size_t words, double divisor, double cap) {
  const double incentive = static_cast<double>(words) / divisor;
  return cap > 0 ? std::min(incentive, cap) : incentive;
}

double copy_rate(Words response, Words prompt, std::size_t n) {
  NgramTable table(n);
  table.number(prompt);
  const std::size_t in_prompt = table.size();
  const std::vector<std::uint32_t> numbers = table.number(response);
  if (numbers.empty()) return 0.0;
  const auto copied = std::count_if(numbers.begin(), numbers.end(),
                                    [&](auto number) { return number < in_prompt; });
  return static_cast<double>(copied) / static_cast<double>(numbers.size());
}

}  // namespace plumb
