// Key spans: worked cases, properties, and the official diff (rrpo.json, Python's difflib).
#include "losses/spans.hpp"

#include <algorithm>
#include <iterator>
#include <random>
#include <set>

#include "losses/lcs.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using nlohmann::json;
using Ids = std::vector<std::int32_t>;
using Spans = std::vector<DiffSpan>;

namespace {

constexpr double kNoGuard = 1.0;

Spans spans(const Ids& a, const Ids& b, const std::string& one_sided = "drop",
            std::int64_t min_match = 1) {
  return find_spans(a, b,
                    {.min_match = min_match, .one_sided = one_sided, .max_coverage = kNoGuard})
      .spans;
}

/// LCS length by the textbook table.
std::size_t table_length(const Ids& a, const Ids& b) {
  std::vector<std::vector<std::size_t>> table(a.size() + 1,
                                              std::vector<std::size_t>(b.size() + 1, 0));
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;) {
      table[i][j] =
          a[i] == b[j] ? table[i + 1][j + 1] + 1 : std::max(table[i + 1][j], table[i][j + 1]);
    }
  }
  return table[0][0];
}

/// Tokens of `a` outside of all spans, and those of `b`: equal if the spans are a diff.
std::pair<Ids, Ids> common(const Ids& a, const Ids& b, const Spans& all) {
  Ids from_a, from_b;
  std::int64_t i = 0, j = 0;
  for (const DiffSpan& span : all) {
    from_a.insert(from_a.end(), a.begin() + i, a.begin() + span.chosen_begin);
    from_b.insert(from_b.end(), b.begin() + j, b.begin() + span.rejected_begin);
    i = span.chosen_end;
    j = span.rejected_end;
  }
  from_a.insert(from_a.end(), a.begin() + i, a.end());
  from_b.insert(from_b.end(), b.begin() + j, b.end());
  return {from_a, from_b};
}

Ids random_ids(std::mt19937& random, int length, int kinds) {
  Ids ids(static_cast<std::size_t>(length));
  for (auto& id : ids) id = std::uniform_int_distribution<int>(0, kinds - 1)(random);
  return ids;
}

}  // namespace

TEST_CASE("spans: worked diffs", "[losses][spans]") {
  CHECK(spans({1, 2, 3, 4}, {1, 2, 9, 9, 3, 4}, "keep") == Spans{{2, 2, 2, 4}});
  CHECK(spans({1, 2, 3, 4}, {1, 2, 9, 9, 3, 4}).empty());
  CHECK(spans({1, 5, 2, 6, 3}, {1, 7, 2, 8, 8, 3}) == Spans{{1, 2, 1, 2}, {3, 4, 3, 5}});
  CHECK(spans({1, 2}, {3, 4, 5}) == Spans{{0, 2, 0, 3}});
  CHECK(spans({1, 2}, {}, "keep") == Spans{{0, 2, 0, 0}});
  CHECK(spans({}, {}).empty());
  CHECK(spans({1, 2, 3}, {1, 2, 3}, "keep", 5).empty());
  CHECK(spans({1, 3, 0, 2}, {1, 4, 2}) == Spans{{1, 3, 1, 2}});
  const Ids a{1, 5, 2, 6, 3, 4, 9, 9}, b{1, 7, 2, 8, 3, 4, 9, 9};
  CHECK(spans(a, b) == Spans{{1, 2, 1, 2}, {3, 4, 3, 4}});
  CHECK(spans(a, b, "drop", 3) == Spans{{0, 4, 0, 4}});
}

TEST_CASE("spans: of several longest alignments the earliest counts", "[losses][spans]") {
  // 7 could stand for either 7 of the other response.
  CHECK(spans({1, 7, 2}, {3, 7, 5, 7, 6}, "keep") == Spans{{0, 1, 0, 1}, {2, 3, 2, 5}});
  CHECK(spans({3, 7, 5, 7, 6}, {1, 7, 2}, "keep") == Spans{{0, 1, 0, 1}, {2, 5, 2, 3}});
}

TEST_CASE("spans: anchoring gives insertions a token of context on each side", "[losses][spans]") {
  CHECK(spans({1, 2, 3, 4}, {1, 2, 9, 9, 3, 4}, "anchor") == Spans{{1, 3, 1, 5}});
  CHECK(spans({2, 3}, {9, 2, 3}, "anchor") == Spans{{0, 1, 0, 2}});  // at the start: only after
  CHECK(spans({2, 3}, {2, 3, 9}, "anchor") == Spans{{1, 2, 1, 3}});  // at the end: only before
  CHECK(spans({1, 2, 3}, {1, 8, 2, 9, 3}, "anchor") ==
        Spans{{0, 3, 0, 5}});  // two that share a token
}

TEST_CASE("spans: responses that differ nearly everywhere count whole", "[losses][spans]") {
  const Ids a{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0}, b{11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 0};
  const SpanDiff guarded = find_spans(a, b);  // 10 of 11 tokens differ: 0.909 > 0.9
  CHECK(guarded.whole);
  CHECK(guarded.spans == Spans{{0, 11, 0, 11}});
  CHECK(guarded.chosen_coverage == Approx(10.0 / 11.0));
  const SpanDiff free = find_spans(a, b, {.max_coverage = 0.95});
  CHECK_FALSE(free.whole);
  CHECK(free.spans == Spans{{0, 10, 0, 10}});
  // 2 of 3 tokens differ in one response, 10 of 11 in the other.
  const SpanDiff one_side =
      find_spans(Ids{1, 50, 0}, Ids{11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 0});
  CHECK(one_side.whole);
}

TEST_CASE("lcs: as long as the textbook table finds, and a common subsequence", "[losses][spans]") {
  std::mt19937 random(7);
  for (int round = 0; round < 150; ++round) {
    // Few kinds match in every machine word; many leave words without a match, through which
    // carries must pass.
    const int kinds = round % 2 == 0 ? 1 + round % 9 : 40 + round;
    const Ids a = random_ids(random, static_cast<int>(random() % 300), kinds);
    const Ids b = random_ids(random, static_cast<int>(random() % 300), kinds);
    const std::vector<Match> matches = longest_common_subsequence(a, b);
    REQUIRE(matches.size() == table_length(a, b));
    for (std::size_t k = 0; k < matches.size(); ++k) {
      REQUIRE(a[matches[k].a] == b[matches[k].b]);
      REQUIRE((k == 0 || (matches[k].a > matches[k - 1].a && matches[k].b > matches[k - 1].b)));
    }
  }
}

TEST_CASE("spans: what lies outside of them is the same text", "[losses][spans]") {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const Ids a = random_ids(random, 1 + static_cast<int>(random() % 80), 6);
    const Ids b = random_ids(random, 1 + static_cast<int>(random() % 80), 6);
    for (const std::string one_sided : {"keep", "anchor"}) {
      for (const std::int64_t min_match : {1, 3}) {
        const Spans all = spans(a, b, one_sided, min_match);
        const auto [left, right] = common(a, b, all);
        REQUIRE(left == right);
        for (std::size_t k = 1; k < all.size(); ++k) {
          REQUIRE(all[k].chosen_begin >= all[k - 1].chosen_end);
          REQUIRE(all[k].rejected_begin >= all[k - 1].rejected_end);
        }
      }
    }
  }
}

namespace {

/// The tokens of `ids` that also occur in `other`.
Ids shared(const Ids& ids, const Ids& other) {
  Ids out;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(out), [&](std::int32_t id) {
    return std::find(other.begin(), other.end(), id) != other.end();
  });
  return out;
}

/// True if there is only one way to align the two: what they share is distinct and in the same
/// order.
bool one_alignment(const Ids& a, const Ids& b) {
  const Ids common = shared(a, b);
  return common == shared(b, a) &&
         std::set<std::int32_t>(common.begin(), common.end()).size() == common.size();
}

Spans spans_of(const json& rows) {
  Spans out;
  for (const json& s : rows) out.push_back({s[0][0], s[0][1], s[1][0], s[1][1]});
  return out;
}

/// What the file says of one diff must agree with itself: kept blocks are equal text, spans are the
/// gaps between them that have tokens on both sides, a token's sign is the number of its span.
void check_blocks(const Ids& a, const Ids& b, const json& diff) {
  const json &left = diff["matched_a"], &right = diff["matched_b"];
  REQUIRE(left.size() == right.size());
  Spans gaps;
  std::int64_t i = 0, j = 0;
  for (std::size_t k = 0; k < left.size(); ++k) {
    const std::int64_t a0 = left[k][0], a1 = left[k][1], b0 = right[k][0], b1 = right[k][1];
    CHECK(Ids(a.begin() + a0, a.begin() + a1) == Ids(b.begin() + b0, b.begin() + b1));
    if (i < a0 && j < b0) gaps.push_back({i, a0, j, b0});
    i = a1;
    j = b1;
  }
  const Spans all = spans_of(diff["spans"]);
  CHECK(gaps == all);
  std::vector<int> of_a(a.size(), 0), of_b(b.size(), 0);
  for (std::size_t k = 0; k < all.size(); ++k) {
    const int sign = static_cast<int>(k) + 1;
    std::fill(of_a.begin() + all[k].chosen_begin, of_a.begin() + all[k].chosen_end, sign);
    std::fill(of_b.begin() + all[k].rejected_begin, of_b.begin() + all[k].rejected_end, sign);
  }
  CHECK(of_a == diff["signs_a"].get<std::vector<int>>());
  CHECK(of_b == diff["signs_b"].get<std::vector<int>>());
}

}  // namespace

TEST_CASE("spans: the official diff", "[golden][losses][spans]") {
  const json file = test::golden("rrpo.json");
  for (const json& c : file["spans"]) {
    const std::string name = c["name"];
    INFO(name);
    const Ids a = c["a"], b = c["b"];
    check_blocks(a, b, c["min_match_1"]);
    check_blocks(a, b, c["min_match_3"]);
    std::size_t matched = 0;
    for (const json& block : c["min_match_1"]["matched_a"]) {
      matched += block[1].get<std::size_t>() - block[0].get<std::size_t>();
    }
    const auto theirs = [&](const char* key) { return spans_of(c[key]["spans"]); };
    // difflib takes the longest block first, which is no longest common subsequence: ours is never
    // shorter.
    const std::size_t longest = table_length(a, b);
    CHECK(common(a, b, spans(a, b, "keep")).first.size() == longest);
    CHECK(matched <= longest);
    if (one_alignment(a, b)) {
      CHECK(spans(a, b) == theirs("min_match_1"));
      if (a != b) CHECK(spans(a, b, "drop", 3) == theirs("min_match_3"));
    }
    if (name == "longest_block_is_not_lcs" || name == "long_periodic") {
      CHECK(matched < longest);  // where we differ on purpose
    }
  }
}
