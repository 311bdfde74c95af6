#include "rewards/text_statistics.hpp"

#include <string>

#include "support/files.hpp"
#include "text/words.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

struct Counted {
  std::size_t words;
  NgramCounts trigrams;
};

Counted count(const std::string& text) {
  const auto words = wordpunct(text);
  return {words.size(), count_ngrams(words, 3)};
}

}  // namespace

// Numbers worked out by hand; the tokenizer is that of the R^3 authors (runs of word or of other
// non-space characters).
TEST_CASE("trigrams are counted exactly", "[rewards][unit]") {
  struct Row {
    const char* text;
    std::size_t words;
    std::int64_t trigrams, unique;
    double ratio;
  };
  const auto row = GENERATE(
      Row{"She said 'hello'.", 5, 3, 3, 1.0}, Row{"It's 3.14... isn't it?", 12, 10, 10, 1.0},
      Row{"the cat sat the cat sat the cat", 8, 6, 3, 0.5},
      Row{"a b a b a b a b a b", 10, 8, 2, 0.25}, Row{"Hi there", 2, 0, 0, 1.0},
      Row{"", 0, 0, 0, 1.0}, Row{"Good muffins cost $3.88 in New York.", 11, 9, 9, 1.0});
  const Counted counted = count(row.text);
  CHECK(counted.words == row.words);
  CHECK(counted.trigrams.total == row.trigrams);
  CHECK(counted.trigrams.unique == row.unique);
  CHECK(counted.trigrams.ratio() == row.ratio);
}

TEST_CASE("n-grams of other lengths", "[rewards][unit]") {
  const std::string text = "the cat sat the cat sat the cat";
  const auto words = wordpunct(text);
  CHECK(count_ngrams(words, 1).unique == 3);
  CHECK(count_ngrams(words, 2).unique == 3);  // the cat, cat sat, sat the
  CHECK(count_ngrams(words, 2).total == 7);
  CHECK(count_ngrams(words, 8).total == 1);
  CHECK(count_ngrams(words, 9).total == 0);
  CHECK(count_ngrams(words, 9).ratio() == 1.0);
}

TEST_CASE("words are compared with their case", "[rewards][unit]") {
  CHECK(count("a b c A b c").trigrams.unique == 4);
}

TEST_CASE("an n-gram table tells apart what joined text would confuse", "[rewards][unit]") {
  const std::vector<std::string_view> words{"a", "bc", "ab", "c"};
  CHECK(count_ngrams(words, 2).unique == 3);
}

TEST_CASE("copy rate counts shared n-grams of the response", "[rewards][unit]") {
  const std::string prompt = "Tell me about the capital of France please";
  const std::string response = "the capital of France please is Paris";
  // 4-grams of the response: 4; in the prompt: "the capital of France", "capital of France please".
  CHECK(copy_rate(wordpunct(response), wordpunct(prompt), 4) == 0.5);
  CHECK(copy_rate(wordpunct(prompt), wordpunct(prompt), 4) == 1.0);
  CHECK(copy_rate(wordpunct("one two three"), wordpunct(prompt), 4) == 0.0);
}

TEST_CASE("length incentive divides and caps", "[rewards][unit]") {
  CHECK(length_incentive(8, 100, 0) == 0.08);
  CHECK(length_incentive(840, 100, 0) == 8.4);
  CHECK(length_incentive(840, 100, 5.12) == 5.12);
}

TEST_CASE("length and repetition agree with the R^3 code on whole texts", "[rewards][golden]") {
  const auto golden = test::golden("r3.json");
  for (const auto& row : golden["words"]) {
    const auto text = row["text"].get<std::string>();
    INFO(text);
    const Counted counted = count(text);
    CHECK(counted.words == row["tokens"].size());
    CHECK(length_incentive(counted.words, 100, 0) ==
          test::number(row["uncut"]["length_incentive"]));
    CHECK(counted.trigrams.ratio() == test::number(row["uncut"]["repetition_penalty"]));
  }
}
