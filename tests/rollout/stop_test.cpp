#include "rollout/stop.hpp"

#include "rollout/fake_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

/// Number of tokens after which the watch fires; 0 if it never does.
std::size_t stops_after(const std::vector<std::string>& pieces,
                        const std::vector<std::string>& stops) {
  const test::PieceTokenizer tokenizer(pieces);
  StopWatch watch(tokenizer, stops);
  std::vector<std::int32_t> ids;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    ids.push_back(static_cast<std::int32_t>(i));
    if (watch.completed_by_last(ids)) return ids.size();
  }
  return 0;
}

}  // namespace

TEST_CASE("stop texts are found inside a token and across tokens", "[unit][stop]") {
  CHECK(stops_after({"a", "b", "c"}, {"b"}) == 2);
  CHECK(stops_after({"a", "xxENDyy", "c"}, {"END"}) == 2);
  CHECK(stops_after({"E", "N", "D", "x"}, {"END"}) == 3);
  CHECK(stops_after({"aE", "N", "", "Db"}, {"END"}) == 4);
  CHECK(stops_after({"E", "N", "E", "ND"}, {"END"}) == 4);  // a false start
  CHECK(stops_after({"aaa", "ab"}, {"aaab"}) == 2);
  CHECK(stops_after({"\n", "\n", "x"}, {"STOP", "\n\n"}) == 2);
  CHECK(stops_after({"En", "d"}, {"END"}) == 0);
  CHECK(stops_after({"a", "b"}, {}) == 0);
  CHECK(stops_after({"a", "b"}, {""}) == 0);
}

TEST_CASE("a character split over tokens completes a stop text with its last byte",
          "[unit][stop]") {
  // U+3002 is E3 80 82.
  CHECK(stops_after({"a", "\xE3", "\x80", "\x82", "b"}, {"\xE3\x80\x82"}) == 4);
  CHECK(stops_after({"a", "\xE3", "\x80", "\x83", "b"}, {"\xE3\x80\x82"}) == 0);
}

TEST_CASE("a stop text may be longer than the tokens that are decoded again", "[unit][stop]") {
  std::vector<std::string> letters;
  std::string stop;
  for (char c = 'a'; c <= 'z'; ++c) {
    letters.emplace_back(1, c);
    stop += c;
  }
  CHECK(stops_after(letters, {stop}) == 26);
  CHECK(stops_after(letters, {"z" + stop}) == 0);
}
