#include "pipeline/statistics.hpp"

#include <cmath>

#include "core/rng.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

TEST_CASE("bootstrap: the interval has the width of the normal approximation", "[pipeline][unit]") {
  // 400 uniform numbers: standard error = sqrt(1/12/400) = 0.01443, so the interval is about
  // +-0.0283 wide.
  std::vector<double> items;
  const RandomStream stream(3, 0, 0);
  for (std::uint64_t i = 0; i < 400; ++i) items.push_back(stream.uniform(i));
  const Interval interval = bootstrap_mean(items, 1, 4000);
  CHECK(interval.value == Approx(mean(items)));
  CHECK(interval.high - interval.low == Approx(2 * 1.96 * std::sqrt(1.0 / 12 / 400)).epsilon(0.1));
  CHECK(interval.low < interval.value);
  CHECK(interval.high > interval.value);
}

TEST_CASE("bootstrap: deterministic, and sound on tiny inputs", "[pipeline][unit]") {
  const std::vector<double> items{1.0, 2.0, 4.0};
  CHECK(bootstrap_mean(items, 9, 500).low == bootstrap_mean(items, 9, 500).low);
  CHECK(bootstrap_mean(std::vector<double>{5.0}, 1, 100).low == 5.0);
  CHECK(bootstrap_mean(std::vector<double>{}, 1, 100).value == 0.0);
}

}  // namespace
}  // namespace plumb
