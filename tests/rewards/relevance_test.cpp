#include "rewards/relevance.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinRel;

TEST_CASE("similarity of vectors", "[rewards][unit]") {
  // Pooled state [2, 0] and query [0.5, 1]: dot 1, cosine 1 / (2 * sqrt(1.25)) = 0.4472136
  const std::vector<float> state{2, 0}, query{0.5F, 1}, zero{0, 0};
  CHECK(similarity(query, state, Similarity::kDot) == 1.0);
  CHECK_THAT(similarity(query, state, Similarity::kCosine), WithinRel(0.44721359549995793, 1e-12));
  CHECK(similarity(query, zero, Similarity::kCosine) == 0.0);
}

TEST_CASE("lexical relevance is the cosine of word counts", "[rewards][unit]") {
  const LexicalRelevance lexical;
  const std::vector<TextPair> pairs{{"capital of France", "Paris is the capital of France."},
                                    {"capital of France", "capital OF france"},
                                    {"capital of France", "Berlin"},
                                    {"", "Berlin"},
                                    {"\xC3\x89T\xC3\x89", "\xC3\xA9t\xC3\xA9"},
                                    {"a a b", "a b b"}};
  const auto values = lexical.relevance(pairs);
  CHECK_THAT(values[0], WithinRel(0.6546536707079771, 1e-12));  // 3 / sqrt(3 * 7)
  CHECK_THAT(values[1], WithinRel(1.0, 1e-12));
  CHECK(values[2] == 0);
  CHECK(values[3] == 0);
  CHECK_THAT(values[4], WithinRel(1.0, 1e-12));
  CHECK_THAT(values[5], WithinRel(0.8, 1e-12));  // (2*1 + 1*2) / (sqrt 5 * sqrt 5)
}
