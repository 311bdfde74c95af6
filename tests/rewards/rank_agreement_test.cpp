#include "rewards/rank_agreement.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinAbs;

namespace {

using Scores = std::vector<double>;

std::vector<double> as_scores(const std::vector<int>& ranks) {
  return {ranks.begin(), ranks.end()};
}

double tau_of_ranks(const Scores& a, const Scores& b) {
  return *kendall_tau(as_scores(ranks_ordinal(a)), as_scores(ranks_ordinal(b)), KendallVariant::kA);
}

}  // namespace

// Numbers worked out by hand and with scipy.stats.
TEST_CASE("ranks and coefficients without ties", "[rewards][unit]") {
  const Scores a{-1.2, 0.5, 0.1, -0.3, 2.0}, b{-0.8, 0.2, 0.9, -1.5, 1.1};
  CHECK(ranks_ordinal(a) == std::vector{1, 4, 3, 2, 5});
  CHECK(ranks_ordinal(b) == std::vector{2, 3, 4, 1, 5});
  CHECK_THAT(*kendall_tau(a, b, KendallVariant::kA), WithinAbs(0.6, 1e-12));
  CHECK_THAT(*kendall_tau(a, b, KendallVariant::kB), WithinAbs(0.6, 1e-12));
  CHECK_THAT(*spearman_rho(a, b), WithinAbs(0.8, 1e-12));
  CHECK_FALSE(top_order(a, b));
  CHECK(best_and_worst(a) == std::pair<std::size_t, std::size_t>{4, 0});
}

TEST_CASE("ties make the variants differ", "[rewards][unit]") {
  const Scores a{0.3, 0.3, 0.1, 0.9}, b{0.2, 0.5, 0.5, 0.7};
  CHECK(ranks_ordinal(a) == std::vector{2, 3, 1, 4});
  CHECK(ranks_ordinal(b) == std::vector{1, 2, 3, 4});
  CHECK_THAT(tau_of_ranks(a, b), WithinAbs(1.0 / 3, 1e-12));
  CHECK_THAT(*kendall_tau(a, b, KendallVariant::kA), WithinAbs(1.0 / 3, 1e-12));
  CHECK_THAT(*kendall_tau(a, b, KendallVariant::kB), WithinAbs(0.4, 1e-12));
  const Scores c{0.3, 0.3, 0.3, 0.9, 0.1}, d{0.2, 0.5, 0.5, 0.7, 0.6};
  CHECK(ranks_ordinal(c) == std::vector{2, 3, 4, 5, 1});
  CHECK(ranks_ordinal(d) == std::vector{1, 2, 3, 5, 4});
  CHECK_THAT(tau_of_ranks(c, d), WithinAbs(0.4, 1e-12));
  CHECK_THAT(*kendall_tau(c, d, KendallVariant::kA), WithinAbs(0.1, 1e-12));
  CHECK_THAT(*kendall_tau(c, d, KendallVariant::kB), WithinAbs(0.12598815766974239, 1e-12));
}

TEST_CASE("all scores equal", "[rewards][unit]") {
  const Scores equal(5, 0.5), varied{1, 2, 3, 4, 5};
  CHECK(tau_of_ranks(equal, equal) == 1);
  CHECK(kendall_tau(equal, equal, KendallVariant::kA) == 0);
  CHECK_FALSE(kendall_tau(equal, varied, KendallVariant::kB));
  CHECK_FALSE(spearman_rho(equal, varied));
  CHECK_FALSE(best_and_worst(equal));
  CHECK_FALSE(top_order(equal, equal));
  CHECK_FALSE(best_and_worst(Scores{1}));
}

TEST_CASE("spearman shares mean ranks", "[rewards][unit]") {
  // scipy.stats.spearmanr([1, 2, 2, 3], [1, 3, 2, 4]): ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4; 4.5 /
  // sqrt(4.5 * 5)
  CHECK_THAT(*spearman_rho(Scores{1, 2, 2, 3}, Scores{1, 3, 2, 4}),
             WithinAbs(0.94868329805051377, 1e-12));
}

TEST_CASE("top order in the paper's words and in the released code", "[rewards][unit]") {
  const Scores a{0.1, 2.0, -1.0, 0.5, 0.3};
  const Scores ends{0.2, 1.0, 0.9, -2.0, 0.4}, best_and_worst_same{0.15, 1.5, -2.0, 0.05, 0.6};
  CHECK(top_order_released(a, ends));
  CHECK_FALSE(top_order(a, ends));
  CHECK_FALSE(top_order_released(a, best_and_worst_same));
  CHECK(top_order(a, best_and_worst_same));
  CHECK_THAT(*kendall_tau(a, ends, KendallVariant::kA), WithinAbs(0.0, 1e-12));
  CHECK_THAT(*kendall_tau(a, best_and_worst_same, KendallVariant::kA), WithinAbs(0.6, 1e-12));
}
