#include "text/wordpiece.hpp"

#include <fstream>

#include "core/error.hpp"
#include "shared_tokenizers.hpp"
#include "text/unicode_normalizer.hpp"
#include "tiny_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::Ids;

namespace {

Ids encode(const WordPiece& model, std::string_view word) {
  Ids ids;
  model.encode(word, ids);
  return ids;
}

std::vector<std::string> minilm_pieces() {
  std::ifstream in(test::model_path("all-minilm-l6-v2") / "vocab.txt");
  std::vector<std::string> pieces;
  for (std::string line; std::getline(in, line);) pieces.push_back(line);
  return pieces;
}

void check_golden_ids(const Tokenizer& tokenizer) {
  const nlohmann::json golden = test::golden("tokenizers.json");
  for (const auto& row : golden.at("minilm")) {
    INFO("text: " << row.at("text").dump());
    CHECK(tokenizer.encode_template(row.at("text").get<std::string>(), {}) ==
          row.at("ids_bare").get<Ids>());
  }
}

}  // namespace

TEST_CASE("WordPiece takes the longest piece, or gives the word up", "[unit]") {
  const WordPiece model({.unknown = 0, .continuation = "##", .longest_word = 5},
                        {"", "un", "##a", "##ab", "##b", "é", "u"});
  CHECK(encode(model, "unab") == Ids{1, 3});
  CHECK(encode(model, "unaa") == Ids{1, 2, 2});
  CHECK(encode(model, "unx") == Ids{0});
  CHECK(encode(model, "éab") == Ids{5, 3});
  CHECK(encode(model, "unaba") == Ids{1, 3, 2});
  CHECK(encode(model, "unabab") == Ids{0});  // six characters
  CHECK(encode(model, "a") == Ids{0});       // only continues words
}

TEST_CASE("BERT's normalizer", "[unit]") {
  const auto apply = [](bool accents, bool lowercase, std::string_view text) {
    return Normalizer({normalizing::Bert{true, true, accents, lowercase}}).apply(text);
  };
  CHECK(apply(true, true, "ÀÉ\u0130 Straße") == "aei straße");
  CHECK(apply(false, true, "\u0130É") == "i\u0307é");
  CHECK(apply(false, false, std::string("a\0b\u200Bc\td\u00A0e\uFFFD", 14)) == "abc d e");
  CHECK(apply(false, false, "x中y") == "x 中 y");
  CHECK(apply(false, false, "\u0378") == "\u0378");  // unassigned code points stay
}

TEST_CASE("a GGUF vocabulary of a BERT gives the ids of its vocab.txt", "[golden][model]") {
  if (!test::have_models()) return;
  GgufVocabulary vocabulary;
  vocabulary.model = "bert";
  for (const std::string& piece : minilm_pieces()) {  // the change that converters make
    const bool bracketed = piece.starts_with('[') && piece.ends_with(']');
    const bool inside = piece.starts_with("##");
    vocabulary.tokens.push_back(bracketed ? piece : inside ? piece.substr(2) : "▁" + piece);
  }
  const auto tokenizer = make_tokenizer(vocabulary);
  check_golden_ids(*tokenizer);
  CHECK(encode_for_encoder(*tokenizer, "hello", 16) == Ids{101, 7592, 102});

  const test::TempDir folder;
  tokenizer->save(folder.path(), "");
  const auto again = load_tokenizer(folder.path());
  CHECK(encode_for_encoder(*again, "hello", 16) == Ids{101, 7592, 102});
  CHECK(again->adds_bos());
}

TEST_CASE("a folder with nothing but vocab.txt", "[golden][model]") {
  if (!test::have_models()) return;
  const test::TempDir folder;
  std::filesystem::copy(test::model_path("all-minilm-l6-v2") / "vocab.txt", folder / "vocab.txt");
  const auto tokenizer = load_tokenizer(folder.path());
  check_golden_ids(*tokenizer);
  CHECK(encode_for_encoder(*tokenizer, "hello", 16) == Ids{101, 7592, 102});
  test::write_text(folder / "vocab.txt", "[PAD]\n[UNK]\nword\nword\n");
  CHECK_THROWS_AS(load_tokenizer(folder.path()), DataError);
}

TEST_CASE("inputs of an encoder are cut at the end that is asked for", "[model]") {
  if (!test::have_models()) return;
  const Tokenizer& tokenizer = test::minilm_tokenizer();
  // "one two three" is 2028 2048 2093.
  CHECK(encode_for_encoder(tokenizer, "one two three", 5) == Ids{101, 2028, 2048, 2093, 102});
  CHECK(encode_for_encoder(tokenizer, "one two three", 4) == Ids{101, 2028, 2048, 102});
  CHECK(encode_for_encoder(tokenizer, "one two three", 4, true) == Ids{101, 2048, 2093, 102});
  CHECK(encode_for_encoder(tokenizer, "one two three", 2) == Ids{101, 102});
  CHECK_THROWS_AS(encode_for_encoder(tokenizer, "one", 1), UsageError);
}
