#include "text/pretokenizer.hpp"

#include <random>

#include "core/error.hpp"
#include "text/unicode.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Strings = std::vector<std::string>;

namespace {

Strings cut(std::vector<cutting::Step> steps, const std::string& text, bool at_start = true) {
  const Pieces pieces = PreTokenizer(std::move(steps)).apply(text, at_start);
  Strings out;
  for (const PieceSpan span : pieces.spans)
    out.push_back(pieces.text.substr(span.begin, span.end - span.begin));
  return out;
}

Strings split(cutting::Behavior behavior, const std::string& text) {
  return cut({cutting::Split{SplitPattern::literal("-"), behavior, false}}, text);
}

}  // namespace

TEST_CASE("the hand-written GPT-2 pattern equals the regular expression", "[unit]") {
  // Code points below U+0530 and from a few later blocks, which every Unicode version since 14
  // classes alike.
  const std::u32string awkward =
      U" \t\n\r\u00A0\u2003\u3000'sdtmrelvL09½²Ⅷ٣.,!_-\u0301你好é\u180E\u0085\u001C\U0001F600";
  const cutting::Split pattern{SplitPattern::regex(std::string(cutting::kGpt2Pattern)),
                               cutting::Behavior::isolated, false};
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (std::size_t length = random() % 20; length > 0; --length) {
      const bool any = random() % 4 == 0;
      unicode::append(text, any ? static_cast<char32_t>(random() % 0x52F + 1)
                                : awkward[random() % awkward.size()]);
    }
    INFO("text " << text);
    CHECK(cut({cutting::Gpt2{}}, text) == cut({pattern}, text));
  }
}

TEST_CASE("GPT-2's pattern: a space goes to the word after it, contractions stand alone",
          "[unit]") {
  CHECK(cut({cutting::Gpt2{}}, "I'll  go  ") == Strings{"I", "'ll", " ", " go", "  "});
  CHECK(cut({cutting::Gpt2{}}, " 's x1!?") == Strings{" '", "s", " x", "1", "!?"});
  CHECK(cut({cutting::Digits{true}, cutting::Gpt2{}}, "ab 34") == Strings{"ab", " ", "3", "4"});
}

TEST_CASE("the five behaviors of a split", "[unit]") {
  // Worked by hand on "-a--b-" as the definitions of tokenizers' SplitDelimiterBehavior read.
  using cutting::Behavior;
  CHECK(split(Behavior::removed, "-a--b-") == Strings{"a", "b"});
  CHECK(split(Behavior::isolated, "-a--b-") == Strings{"-", "a", "-", "-", "b", "-"});
  CHECK(split(Behavior::merged_with_previous, "-a--b-") == Strings{"-", "a-", "-", "b-"});
  CHECK(split(Behavior::merged_with_next, "-a--b-") == Strings{"-a", "-", "-b", "-"});
  CHECK(split(Behavior::contiguous, "-a--b-") == Strings{"-", "a", "--", "b", "-"});
}

TEST_CASE("Metaspace marks spaces, and the beginning when asked", "[unit]") {
  const auto metaspace = [](cutting::Prefix prefix, bool split) {
    return cutting::Metaspace{"▁", prefix, split};
  };
  CHECK(cut({metaspace(cutting::Prefix::always, true)}, "a bc") == Strings{"▁a", "▁bc"});
  CHECK(cut({metaspace(cutting::Prefix::first, false)}, "a bc", true) == Strings{"▁a▁bc"});
  CHECK(cut({metaspace(cutting::Prefix::first, false)}, "a bc", false) == Strings{"a▁bc"});
  CHECK(cut({metaspace(cutting::Prefix::always, false)}, " a") == Strings{"▁a"});
}

TEST_CASE("BERT, punctuation and word splits", "[unit]") {
  CHECK(cut({cutting::Bert{}}, "don't  go!¿x") == Strings{"don", "'", "t", "go", "!", "¿", "x"});
  CHECK(cut({cutting::Words{}}, "a_b, c..d") == Strings{"a_b", ",", "c", "..", "d"});
  CHECK(cut({cutting::SpaceSplit{}}, "\u3000 a,b\tc ") == Strings{"a,b", "c"});
}

TEST_CASE("a regular expression that cannot be compiled or runs away is a data error", "[unit]") {
  CHECK_THROWS_AS(SplitPattern::regex("(a"), DataError);
  CHECK_THROWS_AS(SplitPattern::regex(std::string(1 << 17, 'a')), DataError);
  CHECK_THROWS_AS(SplitPattern::regex("(?:a|aa)+$").find_all(std::string(5000, 'a') + "b"),
                  DataError);
}
