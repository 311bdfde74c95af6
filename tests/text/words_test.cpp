#include "text/words.hpp"

#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

std::string joined(const auto& words) {
  std::string all;
  for (const auto& word : words) all += word;
  return all;
}

}  // namespace

TEST_CASE("word tokens equal those of nltk 3.8.1", "[unit][golden]") {
  const nlohmann::json golden = test::golden("r3.json");
  for (const char* part : {"words", "words_tokens_only"}) {
    REQUIRE(golden.at(part).size() > 40);
    for (const auto& row : golden.at(part)) {
      const std::string text = row.at("text");
      INFO("text: " << row.at("text").dump());
      const std::vector<std::string_view> words = wordpunct(text);
      CHECK(std::vector<std::string>(words.begin(), words.end()) ==
            row.at("tokens").get<std::vector<std::string>>());
      // Newer releases of nltk count marks as word characters: not the paper's words.
      if (row.contains("tokens_newer_nltk")) {
        const auto newer = row.at("tokens_newer_nltk").get<std::vector<std::string>>();
        CHECK(std::vector<std::string>(words.begin(), words.end()) != newer);
        CHECK(joined(words) == joined(newer));  // cut elsewhere
      }
    }
  }
}

TEST_CASE("white space of words is Python's", "[unit]") {
  // str.isspace() holds for U+001C to U+001F and U+0085, not for U+200B and U+180E.
  CHECK(wordpunct("a\x1C"
                  "b\x1F"
                  "c\xC2\x85"
                  "d")
            .size() == 4);
  CHECK(wordpunct("a\xE2\x80\x8B"
                  "b")
            .size() == 3);
  CHECK(wordpunct(" \t\n\xE3\x80\x80").empty());
}

TEST_CASE("marks end a word, malformed bytes are no words", "[unit]") {
  // "e" + U+0301 + "t": the mark is neither a letter nor a number.
  CHECK(wordpunct("e\xCC\x81t") == std::vector<std::string_view>{"e", "\xCC\x81", "t"});
  CHECK(wordpunct("a\xFF\xE2\x82"
                  "b_2") == std::vector<std::string_view>{"a", "\xFF\xE2\x82", "b_2"});
}
