#include "text/bpe_merges.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace plumb {
namespace {

/// Below this many symbols a scan for the lowest rank is faster than a heap.
constexpr std::size_t kShort = 48;

std::uint64_t pair_of(std::int32_t left, std::int32_t right) {
  return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) |
         static_cast<std::uint32_t>(right);
}

/// A merge that was possible when it was found; `result` tells later whether it still is.
struct Candidate {
  std::uint32_t rank, at;
  std::int32_t result;
};

constexpr auto kLater = [](const Candidate& a, const Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
};

}  // namespace

BpeMerges::BpeMerges(const std::vector<BpeMerge>& merges)
    : rules_(std::bit_ceil(merges.size() * 2 + 2)) {
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::uint64_t pair = pair_of(merges[rank].left, merges[rank].right);
    rules_[place_of(pair)] = {pair, static_cast<std::uint32_t>(rank), merges[rank].result};
  }
}

std::size_t BpeMerges::place_of(std::uint64_t pair) const {
  const std::size_t mask = rules_.size() - 1;
  std::uint64_t hash = pair * 0x9E3779B97F4A7C15ULL;
  hash ^= hash >> 32;
  std::size_t place = hash & mask;
  while (rules_[place].pair != pair && rules_[place].pair != kNoPair) place = (place + 1) & mask;
  return place;
}

const BpeMerges::Rule& BpeMerges::rule(std::int32_t left, std::int32_t right) const {
  return rules_[place_of(pair_of(left, right))];
}

void BpeMerges::apply(std::vector<std::int32_t>& ids, std::size_t first) const {
  if (ids.size() - first <= kShort) {
    apply_short(ids, first);
  } else {
    apply_long(ids, first);
  }
}

void BpeMerges::apply_short(std::vector<std::int32_t>& ids, std::size_t first) const {
  std::size_t count = ids.size() - first;
  if (count < 2) return;
  std::int32_t* symbols = ids.data() + first;
  std::array<std::uint32_t, kShort> ranks;  // ranks[i] of the pair (i, i + 1)
  std::array<std::int32_t, kShort> results;
  const auto look_up = [&](std::size_t i) {
    const Rule& found = rule(symbols[i], symbols[i + 1]);
    ranks[i] = found.rank;
    results[i] = found.result;
  };
  for (std::size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    const auto best =
        std::min_element(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(count - 1));
    if (*best == kNoRank) break;
    const auto at = static_cast<std::size_t>(best - ranks.begin());
    symbols[at] = results[at];
    std::copy(symbols + at + 2, symbols + count, symbols + at + 1);
    std::copy(ranks.data() + at + 1, ranks.data() + count - 1, ranks.data() + at);
    std::copy(results.data() + at + 1, results.data() + count - 1, results.data() + at);
    --count;
    if (at > 0) look_up(at - 1);
    if (at + 1 < count) look_up(at);
  }
  ids.resize(first + count);
}

void BpeMerges::apply_long(std::vector<std::int32_t>& ids, std::size_t first) const {
  constexpr std::uint32_t kNone = 0xFFFFFFFF;
  struct Symbol {
    std::int32_t id;  // -1 once it is merged into its left neighbour
    std::uint32_t previous, next;
  };
  std::vector<Symbol> symbols(ids.size() - first);
  for (std::uint32_t i = 0; i < symbols.size(); ++i) {
    symbols[i] = {ids[first + i], i == 0 ? kNone : i - 1, i + 1 == symbols.size() ? kNone : i + 1};
  }
  std::vector<Candidate> heap;
  const auto candidate_at = [&](std::uint32_t i) -> Candidate {
    const Rule& found = rule(symbols[i].id, symbols[symbols[i].next].id);
    return {found.rank, i, found.result};
  };
  const auto push = [&](std::uint32_t i) {
    if (i == kNone || symbols[i].next == kNone) return;
    const Candidate candidate = candidate_at(i);
    if (candidate.rank == kNoRank) return;
    heap.push_back(candidate);
    std::push_heap(heap.begin(), heap.end(), kLater);
  };
  for (std::uint32_t i = 0; i + 1 < symbols.size(); ++i) {
    if (const Candidate candidate = candidate_at(i); candidate.rank != kNoRank)
      heap.push_back(candidate);
  }
  std::make_heap(heap.begin(), heap.end(), kLater);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), kLater);
    const Candidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[best.at];
    if (left.id < 0 || left.next == kNone) continue;
    if (const Candidate now = candidate_at(best.at);
        now.rank == kNoRank || now.result != best.result)
      continue;
    Symbol& right = symbols[left.next];
    left.id = best.result;
    left.next = right.next;
    right.id = -1;
    if (left.next != kNone) symbols[left.next].previous = best.at;
    push(left.previous);
    push(best.at);
  }
  ids.resize(first);
  for (std::uint32_t i = 0; i != kNone; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace plumb
