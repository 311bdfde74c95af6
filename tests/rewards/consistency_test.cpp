#include "rewards/consistency.hpp"

#include <cmath>

#include "core/error.hpp"
#include "rewards/rank_agreement.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinAbs;

namespace {

using Rates = std::vector<std::optional<double>>;

Rates optional(const std::vector<double>& values) { return {values.begin(), values.end()}; }

ConsistencyOptions with(const std::string& method, const std::string& ties) {
  ConsistencyOptions options;
  options.method = method;
  options.ties = ties;
  return options;
}

}  // namespace

TEST_CASE("consistency, ranks and pairs agree with the CREAM code", "[rewards][cream][golden]") {
  const auto golden = test::golden("cream.json");
  int toporders_differ = 0;
  for (const auto& row : golden["consistency"]) {
    INFO(row["name"]);
    const auto current = row["scores_current"].get<std::vector<double>>();
    const auto previous = row["scores_previous"].get<std::vector<double>>();
    CHECK(ranks_ordinal(current) == row["ranks_current"].get<std::vector<int>>());
    CHECK(ranks_ordinal(previous) == row["ranks_previous"].get<std::vector<int>>());
    const auto rate = [&](const char* method) {
      return *consistency(optional(current), optional(previous), with(method, "ordinal"));
    };
    CHECK_THAT(rate("kendall"), WithinAbs(test::number(row["kendall"]), 1e-12));
    CHECK_THAT(rate("kendall_b"), WithinAbs(test::number(row["kendall"]), 1e-12));
    CHECK_THAT(rate("spearman"), WithinAbs(test::number(row["spearman"]), 1e-12));
    CHECK(rate("toporder_released") == test::number(row["toporder"]));
    toporders_differ += rate("toporder") != test::number(row["toporder"]);
    const auto ends = best_and_worst(current);
    CHECK(ends.has_value() == !row["chosen_index"].is_null());
    if (ends) {
      CHECK(ends->first == row["chosen_index"].get<std::size_t>());
      CHECK(ends->second == row["rejected_index"].get<std::size_t>());
    }
  }
  CHECK(toporders_differ > 0);  // the paper's TopOrder is another quantity
}

TEST_CASE("labels agree with the CREAM code", "[rewards][cream][golden]") {
  const auto golden = test::golden("cream.json");
  for (const auto& row : golden["labels"]) {
    Rates rates;
    for (const auto& rate : row["rates"]) {
      rates.push_back(rate.is_null() ? std::nullopt : std::optional(test::number(rate)));
    }
    for (const char* mode : {"avg", "dyn"}) {
      ConsistencyOptions options;
      options.rate = mode;
      const auto labels = cream_rates(rates, options);
      const auto& expected = row[std::string("consistency_") + mode];
      REQUIRE(labels.size() == expected.size());
      for (std::size_t i = 0; i < labels.size(); ++i) {
        CHECK_THAT(labels[i], WithinAbs(test::number(expected[i]), 1e-12));
      }
    }
  }
}

TEST_CASE("ties carry no information by default", "[rewards][cream][unit]") {
  const Rates equal(5, 0.5);
  CHECK(consistency(equal, equal, {}) == 0.5);
  CHECK(consistency(equal, equal, with("kendall", "ordinal")) == 1.0);
  CHECK_FALSE(consistency(equal, equal, with("kendall_b", "raw")));
  CHECK_FALSE(consistency(equal, equal, with("spearman", "raw")));
}

TEST_CASE("consistency is symmetric and needs complete lists", "[rewards][cream][unit]") {
  const Rates a{0.3, 0.1, 0.7, 0.2}, b{1, 4, 2, 3};
  const std::string method =
      GENERATE("kendall", "kendall_b", "spearman", "toporder", "toporder_released");
  CHECK(consistency(a, b, with(method, "raw")) == consistency(b, a, with(method, "raw")));
  CHECK_FALSE(consistency(Rates{1}, Rates{1}, with(method, "raw")));
  CHECK_FALSE(consistency(Rates{1, 2}, Rates{1, 2, 3}, with(method, "raw")));
  CHECK_FALSE(consistency(Rates{1, std::nullopt}, Rates{1, 2}, with(method, "raw")));
  CHECK_FALSE(consistency(Rates{1, 2}, Rates{1, std::nan("")}, with(method, "raw")));
}

TEST_CASE("labels: fixed, smallest, none known", "[rewards][cream][unit]") {
  ConsistencyOptions options;
  options.rate = "avg";
  CHECK_THROWS_AS(cream_rates(Rates{std::nullopt, std::nullopt}, options), DataError);
  options.rate = "fixed";
  options.fixed_rate = 0.7;
  CHECK(cream_rates(Rates{std::nullopt, 0.2}, options) == std::vector{0.7, 0.7});
  options.rate = "dyn";
  options.min_rate = 0.5;
  CHECK(cream_rates(Rates{0.2, 0.8, std::nullopt}, options) == std::vector{0.5, 0.8, 0.5});
}
