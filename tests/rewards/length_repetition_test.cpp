#include "rewards/length.hpp"
#include "rewards/repetition.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

std::vector<RewardSample> responses(std::initializer_list<const char*> texts) {
  std::vector<RewardSample> samples;
  for (const char* text : texts) samples.emplace_back().response = text;
  return samples;
}

}  // namespace

TEST_CASE("length: words over target, capped", "[rewards][length][unit]") {
  const auto samples = responses({"one two three", "", "\xFF"});
  const auto scores = LengthReward({.target_words = 2, .cap = 1}).score(samples);
  CHECK(*scores[0].value == 1);
  CHECK(*scores[0].raw == 1.5);
  CHECK(*scores[1].value == 0);
  CHECK_FALSE(scores[2].value);
  CHECK(scores[2].error == "response is not valid UTF-8");
}

TEST_CASE("repetition: distinct over all n-grams", "[rewards][repetition][unit]") {
  const auto samples = responses({"a b a b a b a b a b", "Hi there", "", "\xFF"});
  const auto scores = RepetitionReward({}).score(samples);
  CHECK(*scores[0].value == 0.25);
  CHECK(scores[0].components[2] == std::pair<std::string, double>{"distinct_1", 0.2});
  CHECK(*scores[1].value == 1);
  CHECK(*scores[2].value == 1);
  CHECK_FALSE(scores[3].value);
  CHECK(*RepetitionReward({.ngram = 1}).score(samples)[0].value == 0.2);
}
