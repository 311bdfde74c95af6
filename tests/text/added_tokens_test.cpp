#include "text/added_tokens.hpp"

#include "core/error.hpp"
#include "tiny_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::Ids;

namespace {

/// "id:text" of every part, "-" for text between tokens.
std::vector<std::string> parts(const TokenMatcher& matcher, const std::string& text,
                               const std::vector<ProtectedSpan>& spans = {}) {
  std::vector<std::string> out;
  for (const TextPart& part : matcher.split(text, spans)) {
    out.push_back((part.id ? std::to_string(*part.id) : "-") + ":" +
                  text.substr(part.begin, part.end - part.begin));
  }
  return out;
}
using Parts = std::vector<std::string>;

}  // namespace

TEST_CASE("added tokens: the longest at a place, else the leftmost", "[unit]") {
  const TokenMatcher matcher(
      {{.id = 1, .content = "ab"}, {.id = 2, .content = "abc"}, {.id = 3, .content = "bcd"}});
  CHECK(parts(matcher, "xabcdab") == Parts{"-:x", "2:abc", "-:d", "1:ab"});
  CHECK(parts(matcher, "abbcd") == Parts{"1:ab", "3:bcd"});
  CHECK(parts(matcher, "").empty());
}

TEST_CASE("added tokens eat white space, and keep out of words, when asked", "[unit]") {
  const TokenMatcher matcher({{.id = 1, .content = "<l>", .lstrip = true},
                              {.id = 2, .content = "<r>", .rstrip = true},
                              {.id = 3, .content = "word", .single_word = true}});
  CHECK(parts(matcher, "a \n<l> b") == Parts{"-:a", "1: \n<l>", "-: b"});
  CHECK(parts(matcher, "a <r>\u3000 b") == Parts{"-:a ", "2:<r>\u3000 ", "-:b"});
  CHECK(parts(matcher, "<r> <l>") == Parts{"2:<r> ", "1:<l>"});
  CHECK(parts(matcher, "word sword word1 (word)") ==
        Parts{"3:word", "-: sword word1 (", "3:word", "-:)"});
}

TEST_CASE("special tokens are text inside of protected spans", "[unit]") {
  const TokenMatcher matcher(
      {{.id = 1, .content = "<s>", .special = true}, {.id = 2, .content = "<t>"}});
  CHECK(parts(matcher, "<s><s><t>", {{3, 9}}) == Parts{"1:<s>", "-:<s>", "2:<t>"});
  // A mark that begins outside and ends inside of a span, or the other way round, is text.
  CHECK(parts(matcher, "<s>", {{1, 2}}) == Parts{"-:<s>"});
  CHECK(parts(matcher, "<s>x", {{2, 4}}) == Parts{"-:<s>x"});
  CHECK(parts(matcher, "x<s>", {{0, 1}}) == Parts{"-:x", "1:<s>"});
  CHECK(parts(matcher, "<s><s>", {{3, 3}}) == Parts{"1:<s>", "1:<s>"});
}

TEST_CASE("a shorter special outside of a span is found where a longer one reaches into it",
          "[unit]") {
  const TokenMatcher matcher({{.id = 1, .content = "<s>", .special = true},
                              {.id = 2, .content = "<s>!", .special = true}});
  CHECK(parts(matcher, "<s>!") == Parts{"2:<s>!"});
  CHECK(parts(matcher, "<s>!", {{3, 4}}) == Parts{"1:<s>", "-:!"});
}

TEST_CASE("added tokens that are empty or appear twice are data errors", "[unit]") {
  CHECK_THROWS_AS(TokenMatcher({{.id = 1, .content = ""}}), DataError);
  CHECK_THROWS_AS(TokenMatcher({{.id = 1, .content = "a"}, {.id = 2, .content = "a"}}), DataError);
}

TEST_CASE("protected spans follow the replacement of malformed bytes", "[unit]") {
  // E2 82 is a cut-off sequence: three bytes of U+FFFD take its place.
  const ValidText valid = to_valid_text("<\xE2\x82>\xFF|", {{1, 3}, {4, 5}});
  CHECK(valid.text == "<\uFFFD>\uFFFD|");
  REQUIRE(valid.spans.size() == 2);
  CHECK(valid.text.substr(valid.spans[0].begin, valid.spans[0].end - valid.spans[0].begin) ==
        "\uFFFD");
  CHECK(valid.spans[1].begin == 5);
  CHECK(valid.spans[1].end == 8);
  CHECK_THROWS_AS(to_valid_text("abc", {{2, 4}}), InternalError);
  CHECK_THROWS_AS(to_valid_text("abc", {{1, 2}, {0, 1}}), InternalError);
}

TEST_CASE("text between two specials is one piece across the borders of spans", "[unit]") {
  // Merges join across the border at byte 4: "<s>b" + "c" gives "bc", id 6.
  const auto tokenizer = test::load(test::tiny_json());
  CHECK(tokenizer->encode_template("<s>bc", {{4, 5}}) == Ids{1, 6});
  CHECK(tokenizer->encode_template("<s>bc<s>", {{3, 8}}).front() == 1);
  CHECK(tokenizer->encode_template("<s>bc<s>", {}) == Ids{1, 6, 1});
}

TEST_CASE("text never becomes a special id, not even by merges or as a whole token", "[unit]") {
  nlohmann::json json = test::tiny_json();
  json["added_tokens"].push_back(test::added(8, "abc", true));
  json["model"]["merges"] = {"a b", "ab c"};
  CHECK(test::load(json)->encode("abc") == Ids{7, 4});
  json["model"]["ignore_merges"] = true;
  CHECK(test::load(json)->encode("abc") == Ids{7, 4});
  CHECK(test::load(json)->encode_template("abc", {}) == Ids{8});
}

TEST_CASE("tokens that tokenizer_config.json adds or names are special", "[unit]") {
  const nlohmann::json config{
      {"bos_token", "a"},
      {"eos_token", {{"content", "</s>"}}},
      {"added_tokens_decoder", {{"9", {{"content", "</s>"}, {"special", true}}}}}};
  const auto tokenizer = test::load(test::tiny_json(), config);
  CHECK(tokenizer->bos() == 2);
  CHECK(tokenizer->eos() == 9);
  CHECK(tokenizer->is_special(2));
  CHECK(tokenizer->vocab_size() == 10);
  CHECK(tokenizer->encode_template("b</s>", {}) == Ids{3, 9});
  CHECK(tokenizer->decode(Ids{3, 9}, true) == "b");
}
