#include "rewards/mixing.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinAbs;

namespace {

using Lists = std::vector<std::vector<double>>;

/// Value of a committee: sum over modules of the best (responses - place) among its members.
double committee_value(const Lists& modules, const std::vector<std::size_t>& committee) {
  double sum = 0;
  for (const auto& scores : modules) {
    const auto place = places(scores);
    int best = static_cast<int>(scores.size());
    for (const std::size_t c : committee) best = std::min(best, place[c]);
    sum += static_cast<double>(scores.size()) - best;
  }
  return sum;
}

}  // namespace

TEST_CASE("z-scores inside a prompt group", "[rewards][mixing][unit]") {
  // population mean 0.5685, standard deviation 0.40571...; numpy: (x - x.mean()) / (x.std() + 1e-6)
  const auto z = z_scores(OptionalScores{0.05, 1.024, 0.3, 0.9});
  const std::vector<double> expected{-1.278096, 1.122802, -0.661849, 0.817143};
  for (std::size_t i = 0; i < 4; ++i) CHECK_THAT(*z[i], WithinAbs(expected[i], 1e-6));
  CHECK(z_scores(OptionalScores{2, 2, 2}) == OptionalScores{0, 0, 0});
  const auto gap = z_scores(OptionalScores{1, std::nullopt, 3});
  CHECK_THAT(*gap[0], WithinAbs(-1, 1e-5));
  CHECK_FALSE(gap[1]);
  CHECK(z_scores({}).empty());
}

TEST_CASE("a weighted mix ignores the modules' scales", "[rewards][mixing][unit]") {
  const WeightedScores a{1, {0, 1, 2}}, b{1, {2000, 1000, 0}}, twice{2, {0, 1, 2}};
  const auto cancel = mix_scores(std::vector{a, b});
  for (const auto& score : cancel) CHECK_THAT(*score, WithinAbs(0, 1e-5));
  const auto order = mix_scores(std::vector{twice, b});
  CHECK(*order[2] > *order[1]);
  CHECK(*order[1] > *order[0]);
}

TEST_CASE("a response needs a score of every module that counts", "[rewards][mixing][unit]") {
  const auto mixed =
      mix_scores(std::vector<WeightedScores>{{1, {0, 1, std::nullopt}}, {1, {0, std::nullopt, 1}}});
  CHECK(mixed[0]);
  CHECK_FALSE(mixed[1]);
  CHECK_FALSE(mixed[2]);
  const auto unweighted = mix_scores(
      std::vector<WeightedScores>{{1, {0, 1, 2}}, {0, {std::nullopt, std::nullopt, std::nullopt}}});
  CHECK(std::all_of(unweighted.begin(), unweighted.end(),
                    [](const auto& score) { return score.has_value(); }));
}

TEST_CASE("places and Borda counts", "[rewards][mixing][unit]") {
  CHECK(places(std::vector<double>{0.1, 0.9, 0.9, 0.5}) == std::vector{4, 1, 2, 3});
  // Places 1 2 3, 1 3 2 and 3 1 2 give 2+2+0, 1+0+2 and 0+1+1 points.
  const Lists modules{{3, 2, 1}, {3, 1, 2}, {1, 3, 2}};
  CHECK(borda(modules) == std::vector<double>{4, 3, 2});
  CHECK(ordered_share(modules, 0, 2) == 2.0 / 3);
  CHECK(ordered_share(modules, 1, 1) == 0);
}

TEST_CASE("a committee serves every module", "[rewards][mixing][unit]") {
  // Two modules love response 0, one loves 3: {0, 3} satisfies all, while Borda would add 1.
  const Lists modules{{9, 8, 1, 0}, {9, 8, 1, 0}, {0, 5, 6, 9}};
  CHECK(chamberlin_courant(modules, 1) == std::vector<std::size_t>{0});
  CHECK(chamberlin_courant(modules, 2) == std::vector<std::size_t>{0, 3});
  CHECK(chamberlin_courant(modules, 4).size() == 4);
  // A module once served well stays so: after 0 and 3 nobody gains, and the first one left is next.
  CHECK(chamberlin_courant(Lists{{9, 1, 8, 0}, {9, 1, 8, 0}, {0, 6, 5, 9}}, 3) ==
        std::vector<std::size_t>{0, 3, 1});
  CHECK(chamberlin_courant(modules, 0).empty());
  CHECK_THROWS_AS(chamberlin_courant(modules, 5), DataError);
  CHECK(committee_value(modules, chamberlin_courant(modules, 2)) == 9);
}

TEST_CASE("greedy committees reach 1 - 1/e of the best", "[rewards][mixing][unit]") {
  unsigned state = 7;
  const auto next = [&] {
    return static_cast<double>((state = state * 1664525u + 1013904223u) >> 8);
  };
  for (int trial = 0; trial < 20; ++trial) {
    Lists modules(4, std::vector<double>(6));
    for (auto& scores : modules) std::generate(scores.begin(), scores.end(), next);
    double best = 0;
    for (std::size_t i = 0; i < 6; ++i) {
      for (std::size_t j = i + 1; j < 6; ++j) {
        best = std::max(best, committee_value(modules, {i, j}));
      }
    }
    CHECK(committee_value(modules, chamberlin_courant(modules, 2)) >= (1 - std::exp(-1.0)) * best);
  }
}

TEST_CASE("committees keep the limits of groups", "[rewards][mixing][unit]") {
  const Lists modules{{9, 8, 7, 0}, {9, 8, 7, 0}};
  const std::vector<std::size_t> groups{0, 0, 0, 1};
  CHECK(chamberlin_courant(modules, 2, groups, std::vector<GroupLimit>{{0, 9}, {1, 9}}) ==
        std::vector<std::size_t>{0, 3});
  CHECK(chamberlin_courant(modules, 1, groups, std::vector<GroupLimit>{{0, 9}, {1, 9}}) ==
        std::vector<std::size_t>{3});
  CHECK(chamberlin_courant(modules, 2, groups, std::vector<GroupLimit>{{0, 1}, {0, 1}}) ==
        std::vector<std::size_t>{0, 3});
  CHECK_THROWS_AS(chamberlin_courant(modules, 2, groups, std::vector<GroupLimit>{{0, 9}, {2, 9}}),
                  DataError);
  CHECK_THROWS_AS(chamberlin_courant(modules, 3, groups, std::vector<GroupLimit>{{0, 1}, {0, 1}}),
                  DataError);
  CHECK_THROWS_AS(chamberlin_courant(modules, 1, groups, std::vector<GroupLimit>{{1, 9}, {1, 9}}),
                  DataError);
}
