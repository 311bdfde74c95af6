#include "rewards/loops.hpp"

#include "rewards/text_statistics.hpp"
#include "text/words.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

RewardSample response(const std::string& text) {
  RewardSample sample;
  sample.response = text;
  return sample;
}

Loop loop_in(const std::string& text, std::size_t max_period = 256, std::size_t min_copies = 3) {
  return longest_loop(wordpunct(text), max_period, min_copies);
}

double component(const Score& score, const std::string& name) {
  for (const auto& [key, value] : score.components) {
    if (key == name) return value;
  }
  throw std::runtime_error("no component " + name);
}

}  // namespace

TEST_CASE("loops: a stretch that repeats itself is found", "[rewards][loops][unit]") {
  // Nine words; from the third on "a b" three and a half times: 7 words, 5 beyond the first copy.
  const Loop loop = loop_in("x y a b a b a b a");
  CHECK(loop.period == 2);
  CHECK(loop.words == 7);
  CHECK(loop.copies() == 3);
  CHECK(loop.repeated() == 5);
  CHECK(loop_in("a b a b").period == 0);  // two copies are no loop by default
  CHECK(loop_in("a b a b then many other words").period == 0);
  CHECK(loop_in("a b a b", 256, 2).period == 2);
  CHECK(loop_in("one two three four").period == 0);
  CHECK(loop_in("").period == 0);
}

TEST_CASE("loops: the one that repeats the most words counts", "[rewards][loops][unit]") {
  // "no" four times repeats 3 words; "a b c" three times repeats 6.
  CHECK(loop_in("no no no no stop a b c a b c a b c").period == 3);
  // A copy of copies is the shorter loop: period 1, not 2.
  CHECK(loop_in("go go go go go go").period == 1);
  CHECK(loop_in("a b c d a b c d a b c d", 3).period == 0);
}

TEST_CASE("loops: value and components", "[rewards][loops][unit]") {
  const auto scores = LoopsReward({}).score(std::vector{response("x y a b a b a b a"),
                                                        response("The sun rises. The moon sets."),
                                                        response(""), response("\xFF")});
  CHECK(*scores[0].value == 1.0 - 5.0 / 9.0);
  CHECK(component(scores[0], "loop_period") == 2);
  CHECK(component(scores[0], "loop_copies") == 3);
  CHECK(component(scores[0], "loop_words") == 7);
  CHECK(component(scores[0], "rep_1") == 1.0 - 4.0 / 9.0);  // x y a b of 9
  CHECK(component(scores[0], "rep_4") == 1.0 - 4.0 / 6.0);  // xyab yaba abab baba of 6
  // "The" and "." twice lower rep_1 but make no loop.
  CHECK(*scores[1].value == 1);
  CHECK(component(scores[1], "rep_1") == 0.25);
  CHECK(*scores[2].value == 1);
  CHECK(scores[3].error == "response is not valid UTF-8");
}

TEST_CASE("loops: what the repetition penalty punishes is not always a loop",
          "[rewards][loops][unit]") {
  const std::string verse =
      "row your boat gently down the stream and then row your boat gently back up the stream";
  CHECK(count_ngrams(wordpunct(verse), 3).ratio() < 1);
  CHECK(*LoopsReward({}).score(std::vector{response(verse)})[0].value == 1);
}

TEST_CASE("loops: order and batch change no score", "[rewards][loops][unit]") {
  const std::vector samples{response("a a a a"), response("b"), response("c d c d c d")};
  const auto together = LoopsReward({}).score(samples);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    CHECK(LoopsReward({}).score(std::vector{samples[i]})[0].value == together[i].value);
  }
}
