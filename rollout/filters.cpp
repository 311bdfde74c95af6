#include "rollout/filters.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "kernels/sample.hpp"

namespace plumb {
namespace {

using kernels::kCuts;
using Bits = std::uint32_t;  // of a float >= 0; ordered as the floats are

constexpr std::int64_t kSortAtMost = 512;

struct Border {
  Bits low = 1,
       high = std::bit_cast<Bits>(1.0F) + 1;    // the set's smallest mass lies in [low, high)
  double amount_above = 0;                      // amount of the entries at or above high
  std::int64_t count_above = 0, count_low = 0;  // entries at or above high, low
};

/// Thresholds of the first pass: next-token probabilities spread over octaves.
constexpr std::array<float, kCuts> kFirstCuts{0x1p-1F, 0x1p-2F, 0x1p-3F,  0x1p-4F,
                                              0x1p-6F, 0x1p-8F, 0x1p-11F, 0x1p-15F};

std::array<float, kCuts> cuts_inside(const Border& border) {
  std::array<float, kCuts> cuts;
  const std::uint64_t width = border.high - border.low;
  for (int c = 0; c < kCuts; ++c) {
    const std::uint64_t offset = width * static_cast<std::uint64_t>(kCuts - c) / (kCuts + 1);
    cuts[static_cast<std::size_t>(c)] =
        std::bit_cast<float>(border.low + static_cast<Bits>(offset));
  }
  return cuts;
}

void narrow(std::span<const float> mass, Amount amount, double wanted,
            const std::array<float, kCuts>& cuts, Border& border) {
  std::array<kernels::MassAbove, kCuts> above;
  kernels::sample_passes().masses_above(mass.data(), static_cast<std::int64_t>(mass.size()),
                                        cuts.data(), above.data());
  for (std::size_t c = 0; c < kCuts; ++c) {  // descending thresholds
    const double reached =
        amount == Amount::kMass ? above[c].mass : static_cast<double>(above[c].count);
    const Bits cut = std::bit_cast<Bits>(cuts[c]);
    if (reached >= wanted) {
      border.low = cut;
      border.count_low = above[c].count;
      return;
    }
    border.high = cut;
    border.amount_above = reached;
    border.count_above = above[c].count;
  }
}

}  // namespace

LikeliestSet likeliest(std::span<const float> mass, Amount amount, double wanted,
                       std::span<std::int32_t> candidates) {
  Border border;
  border.count_low = static_cast<std::int64_t>(mass.size());
  narrow(mass, amount, wanted, kFirstCuts, border);
  while (border.count_low - border.count_above > kSortAtMost && border.high - border.low > 1) {
    narrow(mass, amount, wanted, cuts_inside(border), border);
  }
  const std::int64_t found = kernels::sample_passes().collect(
      mass.data(), static_cast<std::int64_t>(mass.size()), std::bit_cast<float>(border.low),
      std::bit_cast<float>(border.high), candidates.data());
  const auto near = candidates.first(static_cast<std::size_t>(found));
  if (border.high - border.low > 1) {
    std::sort(near.begin(), near.end(), [&](std::int32_t a, std::int32_t b) {
      const float mass_a = mass[static_cast<std::size_t>(a)],
                  mass_b = mass[static_cast<std::size_t>(b)];
      return mass_a > mass_b || (mass_a == mass_b && a < b);
    });
  }
  LikeliestSet set{std::bit_cast<float>(border.high), static_cast<std::int64_t>(mass.size())};
  double reached = border.amount_above;
  for (const std::int32_t index : near) {
    const float value = mass[static_cast<std::size_t>(index)];
    set = {value, index};
    reached += amount == Amount::kMass ? static_cast<double>(value) : 1.0;
    if (reached >= wanted) break;
  }
  return set;
}

}  // namespace plumb
