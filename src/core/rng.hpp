#pragma once
#include <array>
#include <cstdint>

namespace plumb {

/// Philox 4x32 with 10 rounds (Salmon et al., SC'11): four random words from a 128-bit counter and
/// a 64-bit key.
inline std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                               std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ k0, static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return counter;
}

/// SplitMix64 finaliser: spreads a small integer over 64 bits.
inline std::uint64_t mix64(std::uint64_t z) {
  z += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

/// A stream of random numbers addressed by position: no state, so results never depend on order or
/// batch. Two streams with different parts are independent.
class RandomStream {
 public:
  /// @param run_seed   seed of the run
  /// @param iteration  iteration of the loop
  /// @param item       prompt (or pair, bootstrap, ...) number
  /// @param sub_item   sample index (or another sub-number)
  RandomStream(std::uint64_t run_seed, std::uint64_t iteration, std::uint64_t item,
               std::uint64_t sub_item = 0)
      : key_(mix64(run_seed ^ mix64(iteration))), high_(mix64(mix64(item) ^ (sub_item + 1))) {}

  std::uint64_t bits(std::uint64_t position) const {
    const auto words = philox4x32(
        {static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32),
         static_cast<std::uint32_t>(high_), static_cast<std::uint32_t>(high_ >> 32)},
        key_);
    return (std::uint64_t{words[1]} << 32) | words[0];
  }
  /// Uniform in [0, 1) with 53 random bits.
  double uniform(std::uint64_t position) const {
    return static_cast<double>(bits(position) >> 11) * 0x1p-53;
  }
  /// Uniform in [0, n), n > 0.
  std::uint64_t below(std::uint64_t position, std::uint64_t n) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(Wide{bits(position)} * n >> 64);
  }

 private:
  std::uint64_t key_;
  std::uint64_t high_;
};

/// In-place Fisher-Yates shuffle of anything indexable.
template <class Items>
void shuffle(Items& items, const RandomStream& stream) {
  for (std::size_t i = items.size(); i > 1; --i) {
    using std::swap;
    swap(items[i - 1], items[stream.below(i, i)]);
  }
}

}  // namespace plumb
