#include "core/strings.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("trim and split_list", "[core][unit]") {
  CHECK(trim(" \t a b \r\n") == "a b");
  CHECK(trim("  ").empty());
  CHECK(trim("").empty());
  CHECK(split_list(" a, b ,,c,") == Names{"a", "b", "c"});
  CHECK(split_list("").empty());
  CHECK(split_list("a;b,c", ';') == Names{"a", "b,c"});
  CHECK(join(Names{"a", "b"}, ", ") == "a, b");
  CHECK(join(Names{}, ", ").empty());
}

TEST_CASE("nearest_name finds typos and nothing else", "[core][unit]") {
  const Names names{"learning_rate", "beta", "max_length"};
  CHECK(nearest_name("learningrate", names) == "learning_rate");
  CHECK(nearest_name("bta", names) == "beta");
  CHECK(nearest_name("max_lenght", names) == "max_length");
  CHECK(nearest_name("optimizer", names).empty());
  CHECK(nearest_name("x", {}).empty());
}

struct Utf8Case {
  std::string text;
  std::string repaired;  // what Python 3.11's bytes.decode('utf-8', errors='replace') gives
};
const std::string kMark = "\xEF\xBF\xBD";

const Utf8Case kBroken[] = {
    // The Unicode Standard's example of maximal subparts (chapter 3, table 3-8).
    {"a\xF1\x80\x80\xE1\x80\xC2"
     "b\x80"
     "c\x80\xBF"
     "d",
     "a" + kMark + kMark + kMark + "b" + kMark + "c" + kMark + kMark + "d"},
    {"\xED\xA0\x80", kMark + kMark + kMark},              // a surrogate
    {"\xC0\xAF", kMark + kMark},                          // overlong in two bytes
    {"\xE0\x80\xAF", kMark + kMark + kMark},              // overlong in three
    {"\xF0\x80\x80\xAF", kMark + kMark + kMark + kMark},  // overlong in four
    {"\xF4\x90\x80\x80", kMark + kMark + kMark + kMark},  // above U+10FFFF
    {"\xF5\x80\x80\x80", kMark + kMark + kMark + kMark},  // a lead byte that does not exist
    {"\xE2\x82", kMark},                                  // cut short
    {"\xF0\x9F\x98", kMark},                              // cut short
    {"\xFE\xFF", kMark + kMark},                          // bytes that never occur
    {"\xC2\xE2\x82\xAC", kMark + "\xE2\x82\xAC"},         // a broken start before a whole character
    {"\xED\xBF\xBF\xED", kMark + kMark + kMark + kMark},
    {"\xF4\x91\x92\x93\xFF"
     "A\x80\xBF"
     "B",
     kMark + kMark + kMark + kMark + kMark + "A" + kMark + kMark + "B"},
    {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
     "A",
     kMark + kMark + kMark + kMark + "A"},
};

TEST_CASE("malformed UTF-8 is found and repaired by maximal subparts", "[core][unit]") {
  for (const Utf8Case& broken : kBroken) {
    INFO(broken.repaired);
    CHECK_FALSE(is_valid_utf8(broken.text));
    CHECK(to_valid_utf8(broken.text) == broken.repaired);
    CHECK(is_valid_utf8(to_valid_utf8(broken.text)));
  }
}

TEST_CASE("well-formed UTF-8 stays as it is", "[core][unit]") {
  // The first and last character of each length, and both neighbours of the surrogates.
  const std::string text = std::string(1, '\0') +
                           "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"
                           "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF";
  CHECK(is_valid_utf8(text));
  CHECK(to_valid_utf8(text) == text);
  CHECK(is_valid_utf8(""));
}

TEST_CASE(
    "every lead byte followed by every byte: repaired text is valid, and changed only if it had to "
    "be",
    "[core][unit]") {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const std::string text{static_cast<char>(a), static_cast<char>(b), 'z'};
      const std::string repaired = to_valid_utf8(text);
      REQUIRE(is_valid_utf8(repaired));
      REQUIRE(repaired.back() == 'z');
      REQUIRE((repaired == text) == is_valid_utf8(text));
    }
  }
}

TEST_CASE("valid_utf8_prefix ends before the first broken sequence", "[core][unit]") {
  CHECK(valid_utf8_prefix("caf\xE9!") == 3);
  CHECK(valid_utf8_prefix("\xE2\x82\xAC\xE2\x82") == 3);
  CHECK(valid_utf8_prefix("plain") == 5);
}

TEST_CASE("complete_utf8_prefix holds back an unfinished character", "[core][unit]") {
  const std::string smile = "\xF0\x9F\x99\x82";
  for (std::size_t n = 1; n < smile.size(); ++n)
    CHECK(complete_utf8_prefix("ab" + smile.substr(0, n)) == 2);
  CHECK(complete_utf8_prefix("ab" + smile) == 6);
  CHECK(complete_utf8_prefix("ab") == 2);
  CHECK(complete_utf8_prefix("") == 0);
}

}  // namespace
}  // namespace plumb
