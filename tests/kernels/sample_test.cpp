#include "kernels/sample.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/tile.hpp"

#include "support/catch.hpp"

using namespace plumb::kernels;

namespace {

std::vector<const SamplePasses*> all_passes() {
  std::vector<const SamplePasses*> all{&sample_passes_portable()};
  if (cpu_has_avx512()) all.push_back(&sample_passes_avx512());
  return all;
}

std::vector<float> normal_values(std::size_t size) {
  std::mt19937 generator(static_cast<unsigned>(size));
  std::normal_distribution<float> normal(0.0F, 4.0F);
  std::vector<float> values(size);
  for (float& value : values) value = normal(generator);
  return values;
}

}  // namespace

TEST_CASE("passes over a row agree with double arithmetic", "[unit][sample]") {
  for (const SamplePasses* passes : all_passes()) {
    for (const std::size_t size : {1U, 15U, 16U, 17U, 511U, 512U, 513U, 5000U}) {
      const auto n = static_cast<std::int64_t>(size);
      const std::vector<float> x = normal_values(size);
      const RowMaximum top = passes->maximum(x.data(), n);
      CHECK(top.finite);
      CHECK(top.value == *std::max_element(x.begin(), x.end()));

      std::vector<float> mass(size);
      std::vector<double> sums(static_cast<std::size_t>(mass_blocks(n)));
      const double total =
          passes->exponentials(x.data(), n, top.value, 0.7F, mass.data(), sums.data());
      double expected = 0, worst = 0;
      for (std::size_t i = 0; i < size; ++i) {
        const double e =
            std::exp(0.7 * (static_cast<double>(x[i]) - static_cast<double>(top.value)));
        expected += e;
        worst = std::max(worst, std::abs(static_cast<double>(mass[i]) / e - 1));
      }
      CHECK(worst <
            3e-6);  // the scaled distance is rounded before the exponential: up to 30 * 2^-24
      CHECK(total == Approx(expected).epsilon(1e-6));
      CHECK(std::accumulate(sums.begin(), sums.end(), 0.0) == Approx(total).epsilon(1e-12));
      CHECK(*std::max_element(mass.begin(), mass.end()) == 1.0F);

      float cuts[kCuts];
      for (int c = 0; c < kCuts; ++c) cuts[c] = std::exp2(-1.3F * static_cast<float>(c));
      MassAbove above[kCuts];
      passes->masses_above(mass.data(), n, cuts, above);
      for (int c = 0; c < kCuts; ++c) {
        double reached = 0;
        for (const float m : mass) reached += m >= cuts[c] ? static_cast<double>(m) : 0.0;
        CHECK(above[c].mass == Approx(reached).epsilon(1e-5));
        CHECK(above[c].count ==
              std::count_if(mass.begin(), mass.end(), [&](float m) { return m >= cuts[c]; }));
      }

      std::vector<std::int32_t> found(size + 16), wanted;
      for (std::size_t i = 0; i < size; ++i) {
        if (mass[i] >= cuts[5] && mass[i] < cuts[1]) wanted.push_back(static_cast<std::int32_t>(i));
      }
      found.resize(static_cast<std::size_t>(
          passes->collect(mass.data(), n, cuts[5], cuts[1], found.data())));
      CHECK(found == wanted);
    }
  }
}

TEST_CASE("keeping masses above a cut, ties up to an index", "[unit][sample]") {
  for (const SamplePasses* passes : all_passes()) {
    for (const std::int64_t last_tie : {-1, 0, 700, 1023, 1024, 1999, 5000}) {
      std::vector<float> mass(2000);
      for (std::size_t i = 0; i < mass.size(); ++i)
        mass[i] = static_cast<float>(i % 3) / 2;  // 0, 0.5, 1
      const std::vector<float> before = mass;
      std::vector<double> sums(4);
      const double total = passes->keep(mass.data(), 2000, 0.5F, last_tie, sums.data());
      double expected = 0;
      for (std::size_t i = 0; i < mass.size(); ++i) {
        const bool kept =
            before[i] > 0.5F || (before[i] == 0.5F && static_cast<std::int64_t>(i) <= last_tie);
        CHECK(mass[i] == (kept ? before[i] : 0.0F));
        expected += static_cast<double>(mass[i]);
      }
      CHECK(total == expected);
      CHECK(std::accumulate(sums.begin(), sums.end(), 0.0) == expected);
    }
  }
}

TEST_CASE("far-off scores weigh nothing, and bad ones are seen", "[unit][sample]") {
  for (const SamplePasses* passes : all_passes()) {
    std::vector<float> x(40, -1e30F), mass(40);
    x[20] = 5.0F;
    x[21] = 5.0F - 86.0F;
    double sum = 0;
    CHECK(passes->exponentials(x.data(), 40, 5.0F, 1.0F, mass.data(), &sum) == Approx(1.0));
    CHECK(mass[0] == 0.0F);
    CHECK(mass[21] == Approx(std::exp(-86.0)).epsilon(1e-5));
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()}) {
      for (const std::size_t where : {0U, 20U, 39U}) {
        std::vector<float> broken = x;
        broken[where] = bad;
        CHECK_FALSE(passes->maximum(broken.data(), 40).finite);
      }
    }
  }
}
