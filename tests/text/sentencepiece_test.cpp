#include "text/sentencepiece.hpp"

#include <limits>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/strings.hpp"
#include "tiny_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::Ids;

namespace {

constexpr std::int32_t kSpace = 259, kA = 260, kB = 261, kSpaceA = 262, kAb = 263, kSpaceAb = 264,
                       kX = 265, kTwoSpaces = 266;
constexpr std::int32_t byte_id(int byte) { return 3 + byte; }

/// <unk> <s> </s>, 256 bytes, then the pieces above; better scores join first.
GgufVocabulary vocabulary() {
  GgufVocabulary made;
  made.model = "llama";
  const auto add = [&](const std::string& token, float score, std::int32_t type) {
    made.tokens.push_back(token);
    made.scores.push_back(score);
    made.token_types.push_back(type);
  };
  add("<unk>", 0, 2);
  add("<s>", 0, 3);
  add("</s>", 0, 3);
  for (int byte = 0; byte < 256; ++byte) {
    constexpr const char* kDigits = "0123456789ABCDEF";
    add(std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">", 0, 6);
  }
  add("▁", -10, 1);
  add("a", -11, 1);
  add("b", -12, 1);
  add("▁a", -1, 1);
  add("ab", -2, 1);
  add("▁ab", -3, 1);
  add("[X]", -1000, 4);
  add("  ", -1000, 4);  // converters write real spaces into user-defined tokens
  made.bos = 1;
  made.eos = 2;
  made.unknown = 0;
  made.add_bos = true;
  return made;
}

void check_reading(const Tokenizer& tokenizer) {
  // "▁ab": the best pair is ▁+a (-1), then ▁a+b (-3).
  CHECK(tokenizer.encode("ab") == Ids{kSpaceAb});
  CHECK(tokenizer.encode("b a") == Ids{kSpace, kB, kSpaceA});
  CHECK(tokenizer.encode("a[X]b") == Ids{kSpaceA, kX, kB});
  CHECK(tokenizer.encode("a  b") == Ids{kSpaceA, kTwoSpaces, kB});
  CHECK(tokenizer.encode("aé") == Ids{kSpaceA, byte_id(0xC3), byte_id(0xA9)});
  CHECK(tokenizer.encode("<s>") == Ids{kSpace, byte_id('<'), byte_id('s'), byte_id('>')});
  CHECK(tokenizer.encode("").empty());
  CHECK(tokenizer.bos() == 1);
  CHECK(tokenizer.eos() == 2);
  CHECK(tokenizer.adds_bos());
  CHECK(tokenizer.vocab_size() == 267);
  CHECK(tokenizer.is_special(1));
  CHECK_FALSE(tokenizer.is_special(kX));
}

void check_specials(const Tokenizer& tokenizer) {
  // Only text at the very beginning gets the dummy prefix.
  CHECK(tokenizer.encode_template("<s>ab", {}) == Ids{1, kAb});
  CHECK(tokenizer.encode_template("<s> ab</s>a", {}) == Ids{1, kSpaceAb, 2, kA});
  CHECK(tokenizer.encode_template("ab<s>ab", {}) == Ids{kSpaceAb, 1, kAb});
  CHECK(tokenizer.encode_template("<s>ab", {{3, 5}}) == Ids{1, kAb});
}

void check_writing(const Tokenizer& tokenizer) {
  CHECK(tokenizer.decode(Ids{kSpaceAb, kSpaceA}) == "ab a");
  CHECK(tokenizer.decode(Ids{1, kSpaceAb, 2}) == "<s> ab</s>");
  CHECK(tokenizer.decode(Ids{1, kSpaceAb, 2}, true) == "ab");
  CHECK(tokenizer.decode(Ids{kSpaceA, byte_id(0xC3)}) == "a\xC3");
  CHECK(tokenizer.decode(Ids{kSpaceA, kTwoSpaces, kB}) == "a  b");
  CHECK(tokenizer.decode(Ids{}).empty());
}

}  // namespace

TEST_CASE("SentencePiece from a GGUF vocabulary", "[unit]") {
  const auto tokenizer = make_tokenizer(vocabulary());
  check_reading(*tokenizer);
  check_specials(*tokenizer);
  check_writing(*tokenizer);
  // The dummy prefix comes before a space of the text's own.
  CHECK(tokenizer->encode(" b") == Ids{kTwoSpaces, kB});
  CHECK_THROWS_AS(tokenizer->decode(Ids{267}), UsageError);
  CHECK_THROWS_AS(tokenizer->piece(-1), UsageError);
}

TEST_CASE(
    "a saved SentencePiece vocabulary reads the same from tokenizer.model and from tokenizer.json",
    "[unit]") {
  const test::TempDir folder;
  make_tokenizer(vocabulary())->save(folder.path(), "{{ messages }}");
  const auto from_model = load_tokenizer(folder.path());
  check_reading(*from_model);
  check_specials(*from_model);
  check_writing(*from_model);
  CHECK(from_model->encode(" b") == Ids{kTwoSpaces, kB});

  std::filesystem::remove(folder / "tokenizer.model");
  const auto from_json = load_tokenizer(folder.path());
  check_reading(*from_json);
  check_specials(*from_json);
  check_writing(*from_json);
}

TEST_CASE("a vocabulary without the space prefix adds none", "[unit]") {
  GgufVocabulary made = vocabulary();
  made.add_space_prefix = false;
  const auto tokenizer = make_tokenizer(made);
  CHECK(tokenizer->encode("ab") == Ids{kAb});
  CHECK(tokenizer->decode(Ids{kSpaceAb}) == " ab");
}

TEST_CASE("tokenizer.model with tokens that other files add", "[unit]") {
  const test::TempDir folder;
  make_tokenizer(vocabulary())->save(folder.path(), "");
  std::filesystem::remove(folder / "tokenizer.json");
  test::write_text(
      folder / "tokenizer_config.json",
      R"({"added_tokens_decoder": {"267": {"content": "<|end|>", "special": true}}, "eos_token": "<|end|>"})");
  test::write_text(folder / "added_tokens.json", R"({"<|end|>": 267, "<pad>": 268})");
  const auto tokenizer = load_tokenizer(folder.path());
  CHECK(tokenizer->vocab_size() == 269);
  CHECK(tokenizer->eos() == 267);
  CHECK(tokenizer->encode_template("a<|end|><pad>", {}) == Ids{kSpaceA, 267, 268});
  test::write_text(folder / "added_tokens.json", R"({"<|end|>": 4294967563})");  // 267 modulo 2^32
  CHECK_THROWS_AS(load_tokenizer(folder.path()), DataError);
}

TEST_CASE("vocabularies that SentencePiece cannot take are data errors", "[unit]") {
  const auto fails = [](auto change) {
    GgufVocabulary made = vocabulary();
    change(made);
    CHECK_THROWS_AS(make_tokenizer(made), DataError);
  };
  fails([](GgufVocabulary& v) { v.tokens[kA] = ""; });
  fails([](GgufVocabulary& v) { v.tokens[kA] = "b"; });
  fails([](GgufVocabulary& v) { v.tokens[kA] = "\xFF"; });
  fails([](GgufVocabulary& v) { v.scores[kA] = std::numeric_limits<float>::quiet_NaN(); });
  fails([](GgufVocabulary& v) { v.scores.pop_back(); });
  fails([](GgufVocabulary& v) { v.scores.clear(); });
  fails([](GgufVocabulary& v) { v.token_types[kA] = 9; });
  fails([](GgufVocabulary& v) { v.token_types[byte_id(7)] = 1; });
  fails([](GgufVocabulary& v) { v.tokens[byte_id(7)] = "<0xZZ>"; });
  fails([](GgufVocabulary& v) { v.bos = 267; });
  fails([](GgufVocabulary& v) { v.eos = -2; });
  fails([](GgufVocabulary& v) {
    v.unknown.reset();
    v.token_types[0] = 3;
  });
}

TEST_CASE("a damaged tokenizer.model is a data error at every length", "[unit]") {
  const test::TempDir folder;
  make_tokenizer(vocabulary())->save(folder.path(), "");
  const std::string model = read_file(folder / "tokenizer.model");
  for (std::size_t size = 0; size < model.size(); size += 97) {
    test::write_text(folder / "tokenizer.model", model.substr(0, size));
    try {
      load_tokenizer(folder.path());  // a cut between two fields may leave a smaller, working model
    } catch (const DataError& error) {
      CHECK(std::string(error.what()).find("tokenizer.model") != std::string::npos);
    }
  }
  test::write_text(folder / "tokenizer.model", "no protocol buffer");
  CHECK_THROWS_AS(load_tokenizer(folder.path()), DataError);
}
