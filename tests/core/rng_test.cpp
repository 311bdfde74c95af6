#include "core/rng.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "support/catch.hpp"

namespace plumb {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The three philox4x32-10 lines of Random123's kat_vectors (key words joined, the first one low).
TEST_CASE("philox4x32: known answers", "[core][unit]") {
  CHECK(philox4x32({0, 0, 0, 0}, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffffffffffff) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

// The first outputs of SplitMix64 seeded with 0: its state is the golden gamma 0x9e37..15 times the
// step.
TEST_CASE("mix64: the steps of SplitMix64", "[core][unit]") {
  CHECK(mix64(0) == 0xe220a8397b1dcdaf);
  CHECK(mix64(0x9e3779b97f4a7c15) == 0x6e789e6aa1b965f4);
}

TEST_CASE("RandomStream: every part of the address changes the stream", "[core][unit]") {
  std::set<std::uint64_t> seen;
  for (std::uint64_t part = 0; part < 50; ++part) {
    seen.insert(RandomStream(part + 1, 0, 0, 0).bits(0));
    seen.insert(RandomStream(0, part + 1, 0, 0).bits(0));
    seen.insert(RandomStream(0, 0, part + 1, 0).bits(0));
    seen.insert(RandomStream(0, 0, 0, part + 1).bits(0));
    seen.insert(RandomStream(0, 0, 0, 0).bits(part));
  }
  CHECK(seen.size() == 250);
}

TEST_CASE("RandomStream: a number depends on its address alone", "[core][unit]") {
  const RandomStream stream(7, 1, 2, 3);
  const std::uint64_t late = stream.bits(1000000);
  CHECK(stream.bits(0) != late);
  CHECK(RandomStream(7, 1, 2, 3).bits(1000000) == late);
  // Positions of more than 32 bits are addresses of their own.
  CHECK(stream.bits(5) != stream.bits(5 + (std::uint64_t{1} << 32)));
}

TEST_CASE("RandomStream: uniform numbers have the moments of [0, 1)", "[core][unit]") {
  const RandomStream stream(1, 2, 3, 4);
  constexpr int kCount = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = stream.uniform(static_cast<std::uint64_t>(i));
    REQUIRE(u >= 0.0);
    REQUIRE(u < 1.0);
    sum += u;
    squares += u * u;
  }
  // Five standard errors: sd of u is 1/sqrt(12), of u^2 it is sqrt(4/45).
  CHECK(std::abs(sum / kCount - 0.5) < 5 * std::sqrt(1.0 / 12 / kCount));
  CHECK(std::abs(squares / kCount - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / kCount));
}

TEST_CASE("RandomStream: below(n) reaches every value about equally often", "[core][unit]") {
  const RandomStream stream(11, 0, 0);
  std::vector<int> counts(7);
  for (std::uint64_t i = 0; i < 70000; ++i) ++counts.at(stream.below(i, 7));
  // Binomial with p = 1/7: mean 10000, sd sqrt(70000 * 6/49) = 92.6; five of them.
  for (const int count : counts) CHECK(std::abs(count - 10000) < 463);
  CHECK(stream.below(3, 1) == 0);
}

TEST_CASE("shuffle: a permutation, fair in its first place", "[core][unit]") {
  std::vector<int> firsts(5);
  for (std::uint64_t item = 0; item < 10000; ++item) {
    std::vector<int> items(5);
    std::iota(items.begin(), items.end(), 0);
    shuffle(items, RandomStream(3, 0, item));
    ++firsts.at(static_cast<std::size_t>(items[0]));
    std::sort(items.begin(), items.end());
    REQUIRE(items == std::vector<int>{0, 1, 2, 3, 4});
  }
  // Mean 2000, sd sqrt(10000 * 4/25) = 40; five of them.
  for (const int count : firsts) CHECK(std::abs(count - 2000) < 200);
}

}  // namespace
}  // namespace plumb
