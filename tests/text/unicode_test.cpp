#include "text/unicode.hpp"

#include "core/strings.hpp"
#include "text/unicode_normalizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using unicode::Form;

TEST_CASE("every code point is written and read back from both ends", "[unit]") {
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 37) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    unicode::append(text, c);
    const auto first = unicode::first(text + "x");
    const auto last = unicode::last("é" + text);
    if (first.value != c || last.value != c || first.size != text.size())
      FAIL_CHECK("code point " << std::uint32_t{c});
  }
}

TEST_CASE("malformed sequences count byte by byte, as the core's check sees them", "[unit]") {
  for (const std::string_view bad : {"\x80", "\xC0\x80", "\xC3", "\xE0\x80\x80", "\xED\xA0\x80",
                                     "\xF4\x90\x80\x80", "\xF8\x88\x80\x80", "\xE2\x82", "\xFF"}) {
    CHECK_FALSE(is_valid_utf8(bad));
    CHECK(unicode::first(bad).value == 0xFFFD);
    CHECK(unicode::first(bad).size == 1);
    CHECK(unicode::last(bad).size == 1);
  }
}

TEST_CASE("normal forms of UAX 15's examples", "[unit]") {
  // Figures 3 to 6: U+212B, U+1E9B U+0323, ligatures, superscripts.
  CHECK(unicode::normalize("\u212B", Form::nfc) == "\u00C5");
  CHECK(unicode::normalize("\u212B", Form::nfd) == "A\u030A");
  CHECK(unicode::normalize("\u1E9B\u0323", Form::nfc) == "\u1E9B\u0323");
  CHECK(unicode::normalize("\u1E9B\u0323", Form::nfd) == "\u017F\u0323\u0307");
  CHECK(unicode::normalize("\u1E9B\u0323", Form::nfkc) == "\u1E69");
  CHECK(unicode::normalize("\u1E9B\u0323", Form::nfkd) == "s\u0323\u0307");
  CHECK(unicode::normalize("\uFB01 2\u2075", Form::nfkc) == "fi 25");
  CHECK(unicode::normalize("\uD55C", Form::nfd) == "\u1112\u1161\u11AB");
  CHECK(unicode::normalize("\u1112\u1161\u11AB", Form::nfc) == "\uD55C");
}

TEST_CASE("a long run of marks out of order is sorted without quadratic work", "[unit]") {
  // U+0301 has class 230, U+0323 class 220: all of the second kind come first, in order. Insertion
  // would take hours.
  constexpr std::size_t kPairs = 1 << 19;
  std::string mixed = "q";
  for (std::size_t i = 0; i < kPairs; ++i) mixed += "\u0301\u0323";
  const std::string sorted = unicode::normalize(mixed, Form::nfd);
  REQUIRE(sorted.size() == mixed.size());
  CHECK(sorted.substr(1, 4) == "\u0323\u0323");
  CHECK(sorted.substr(1 + 2 * kPairs - 2, 4) == "\u0323\u0301");
}

TEST_CASE("the longest decomposition fits", "[unit]") {
  // U+FDFA becomes 18 code points.
  CHECK(unicode::normalize("\uFDFA", Form::nfkd).size() > 30);
}
