#include "rewards/r3_calibration.hpp"

#include <algorithm>
#include <memory>

#include "core/error.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinRel;

namespace {

/// The number that a response spells.
class SpelledRelevance final : public RelevanceBackend {
 public:
  std::vector<double> relevance(std::span<const TextPair> pairs) const override {
    std::vector<double> values;
    for (const TextPair& pair : pairs) values.push_back(std::stod(pair.response));
    return values;
  }
};

R3Calibration calibrate(const std::vector<AnsweredReference>& pairs, R3Options options = {}) {
  return calibrate_r3(R3Reward(options, std::make_shared<SpelledRelevance>(), 128), pairs);
}

}  // namespace

TEST_CASE("quantiles interpolate as numpy does", "[rewards][unit]") {
  // numpy.quantile([1, 2, 4, 8], [0, .25, .5, .9, 1]) = 1, 1.75, 3, 6.8, 8
  const std::vector<double> values{1, 2, 4, 8};
  CHECK(quantile(values, 0) == 1);
  CHECK(quantile(values, 0.25) == 1.75);
  CHECK(quantile(values, 0.5) == 3);
  CHECK_THAT(quantile(values, 0.9), WithinRel(6.8, 1e-12));
  CHECK(quantile(values, 1) == 8);
  CHECK(quantile(std::vector<double>{7}, 0.99) == 7);
}

TEST_CASE("calibration takes the 99th percentile of the relevance to references",
          "[rewards][r3][unit]") {
  std::vector<AnsweredReference> pairs;
  for (int i = 200; i >= 0; --i) pairs.push_back({"reference", std::to_string(i)});
  pairs.push_back({"", "5000"});
  pairs.push_back({"reference", " "});
  pairs.push_back({"reference", "\xFF"});
  const R3Calibration result = calibrate(pairs);
  CHECK(result.measured == 201);
  CHECK(result.skipped == 3);
  CHECK_THAT(result.in_end, WithinRel(198.0, 1e-12));  // 0.99 * 200
  CHECK(result.out_end == 1.28);
  CHECK(result.config() == "[r3]\nclosed_in = 0, 198\nclosed_out_end = 1.28\n");
  CHECK(result.quantiles.front() == std::pair{0.0, 0.0});
  CHECK(result.quantiles.back() == std::pair{1.0, 200.0});
  CHECK(std::is_sorted(result.quantiles.begin(), result.quantiles.end()));
}

TEST_CASE("calibration needs measurable pairs", "[rewards][r3][unit]") {
  CHECK_THROWS_AS(calibrate({}), DataError);
  CHECK_THROWS_AS(calibrate({{"a", "1"}}), DataError);
  CHECK_THROWS_AS(calibrate({{"a", "-1"}, {"b", "-2"}}), DataError);
  R3Options options;
  options.reward_branching = false;
  CHECK_THROWS_AS(calibrate({{"a", "1"}, {"b", "2"}}, options), UsageError);
}
