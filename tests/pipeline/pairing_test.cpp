#include "pipeline/pairing.hpp"

#include <set>

#include "support/catch.hpp"

namespace plumb {
namespace {

std::vector<PairCandidate> pool(const std::vector<double>& scores) {
  std::vector<PairCandidate> out;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto id = static_cast<std::int64_t>(i);
    out.push_back({10 + id, id, scores[i], 20 + id, 100, 1000 + id});
  }
  return out;
}

PairDecision choose(const std::vector<PairCandidate>& candidates, const PairOptions& options,
                    std::uint64_t prompt = 1) {
  return choose_pair(candidates, static_cast<std::int64_t>(candidates.size()), options, 7, prompt);
}

PairOptions with_rule(const std::string& rule) {
  PairOptions options;
  options.rule = rule;
  return options;
}

TEST_CASE("pairing: max_min takes best and worst, ties by sample number", "[pipeline][unit]") {
  const auto decision = choose(pool({0.2, 0.9, 0.1, 0.9}), with_rule("max_min"));
  REQUIRE(decision.pair);
  CHECK(decision.pair->chosen_id == 11);
  CHECK(decision.pair->rejected_id == 12);
  CHECK(decision.pair->margin == Approx(0.8));
  CHECK_FALSE(decision.pair->dropped);
}

TEST_CASE("pairing: max_max takes best and second best", "[pipeline][unit]") {
  const auto decision = choose(pool({0.2, 0.9, 0.1, 0.7}), with_rule("max_max"));
  CHECK(decision.pair->chosen_id == 11);
  CHECK(decision.pair->rejected_id == 13);
}

TEST_CASE("pairing: random rules use every partner and keep the better one chosen",
          "[pipeline][unit]") {
  const auto candidates = pool({0.2, 0.9, 0.1, 0.7});
  std::set<std::int64_t> partners, chosen;
  for (std::uint64_t prompt = 0; prompt < 64; ++prompt) {
    const auto best = choose(candidates, with_rule("max_random"), prompt);
    CHECK(best.pair->chosen_id == 11);
    partners.insert(best.pair->rejected_id);
    const auto any = choose(candidates, with_rule("random"), prompt);
    CHECK(any.pair->margin > 0.0);
    chosen.insert(any.pair->chosen_id);
    CHECK(choose(candidates, with_rule("random"), prompt).pair->chosen_id == any.pair->chosen_id);
  }
  CHECK(partners == std::set<std::int64_t>{10, 12, 13});
  CHECK(chosen == std::set<std::int64_t>{10, 11, 13});
}

TEST_CASE("pairing: max_min_p takes characters off the score", "[pipeline][unit]") {
  auto candidates = pool({1.0, 0.9});
  candidates[0].characters = 1000;
  candidates[1].characters = 10;
  PairOptions options = with_rule("max_min_p");
  options.length_penalty = 1e-3;  // 1.0 - 1.0 = 0.0 against 0.9 - 0.01 = 0.89
  CHECK(choose(candidates, options).pair->chosen_id == 11);
}

TEST_CASE("pairing: duplicates, ties, missing scores and guards each say why", "[pipeline][unit]") {
  auto same = pool({0.1, 0.2});
  same[1].text_hash = same[0].text_hash;
  CHECK(choose(same, with_rule("max_min")).skip_reason == "duplicates");
  CHECK(*choose(pool({0.5, 0.5}), with_rule("max_min")).pair->dropped == "tie");
  CHECK(choose_pair(pool({0.5}), 4, with_rule("max_min"), 7, 1).skip_reason == "unscored");
  CHECK(choose_pair(pool({0.5}), 1, with_rule("max_min"), 7, 1).skip_reason == "too_few_responses");

  PairOptions margin;
  margin.min_margin = 0.5;
  CHECK(*choose(pool({0.5, 0.2}), margin).pair->dropped == "margin");
  auto lengths = pool({0.9, 0.1});
  lengths[0].tokens = 90;
  lengths[1].tokens = 30;
  PairOptions ratio;
  ratio.max_length_ratio = 2.0;
  CHECK(*choose(lengths, ratio).pair->dropped == "length_ratio");
  PairOptions difference;
  difference.max_length_difference = 50;
  CHECK(*choose(lengths, difference).pair->dropped == "length_difference");
  difference.max_length_difference = 60;
  CHECK_FALSE(choose(lengths, difference).pair->dropped);
}

/// Three modules that rank four responses.
std::vector<PairCandidate> ranked(const std::vector<std::vector<double>>& by_response) {
  auto candidates = pool(std::vector<double>(by_response.size(), 0.0));
  for (std::size_t i = 0; i < by_response.size(); ++i) candidates[i].by_module = by_response[i];
  return candidates;
}

TEST_CASE("pairing: borda takes most and fewest points if most modules order them so",
          "[pipeline][mixing][unit]") {
  // Places by module: 1 2 1, 2 1 2, 3 4 4, 4 3 3; points 8, 7, 1, 2 of three times (4 - place).
  const auto decision =
      choose(ranked({{9, 8, 9}, {8, 9, 8}, {7, 1, 1}, {1, 7, 7}}), with_rule("borda"));
  REQUIRE(decision.pair);
  CHECK(decision.pair->chosen_id == 10);
  CHECK(decision.pair->rejected_id == 12);
  CHECK(decision.pair->margin == 7.0);
  CHECK_FALSE(decision.pair->dropped);
  // Two modules, points 4, 2, 4, 2: the first response beats the last by one of them only.
  const auto split = choose(ranked({{4, 2}, {3, 1}, {2, 4}, {1, 3}}), with_rule("borda"));
  REQUIRE(split.pair);
  CHECK(split.pair->rejected_id == 13);
  CHECK(split.pair->dropped == "disagreement");
}

TEST_CASE("pairing: chamberlin_courant keeps a favourite of every module",
          "[pipeline][mixing][unit]") {
  // Favourites are the first response (twice) and the last one, which Borda alone would place
  // third.
  const std::vector<std::vector<double>> scores{{9, 9, 1}, {8, 8, 2}, {7, 7, 3}, {1, 1, 9}};
  PairOptions options = with_rule("chamberlin_courant");
  options.committee = 2;
  const auto decision = choose(ranked(scores), options);
  REQUIRE(decision.pair);
  CHECK(decision.pair->chosen_id == 10);
  CHECK(decision.pair->rejected_id == 13);
  CHECK(choose(ranked(scores), with_rule("borda")).pair->rejected_id == 13);
}

TEST_CASE("pairing: a committee with a quota holds a response of each third by length",
          "[pipeline][mixing][unit]") {
  // All modules like longer responses: without a quota the committee is the three longest.
  auto candidates = ranked({{6, 6}, {5, 5}, {4, 4}, {3, 3}, {2, 2}, {1, 1}});
  for (std::size_t i = 0; i < candidates.size(); ++i)
    candidates[i].tokens = 60 - 10 * static_cast<std::int64_t>(i);
  PairOptions options = with_rule("chamberlin_courant");
  CHECK(choose(candidates, options).pair->rejected_id == 12);
  options.committee_quota = "length";
  CHECK(choose(candidates, options).pair->chosen_id == 10);
  CHECK(choose(candidates, options).pair->rejected_id == 14);
  // Two responses make two groups.
  candidates.resize(2);
  CHECK(choose(candidates, options).pair->rejected_id == 11);
}

}  // namespace
}  // namespace plumb
