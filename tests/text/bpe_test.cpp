#include "text/bpe.hpp"

#include <random>

#include "text/tokenizer_vocabulary.hpp"
#include "tiny_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::Ids;

namespace {

/// Merging as its definition says: the lowest rank anywhere, leftmost among equals, until no pair
/// has a rule.
Ids merge_slowly(Ids ids, const std::vector<BpeMerge>& merges) {
  for (;;) {
    std::size_t best_rank = merges.size();
    std::size_t best_at = 0;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      for (std::size_t rank = 0; rank < best_rank; ++rank) {
        if (merges[rank].left == ids[i] && merges[rank].right == ids[i + 1]) {
          best_rank = rank;
          best_at = i;
        }
      }
    }
    if (best_rank == merges.size()) return ids;
    ids[best_at] = merges[best_rank].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

/// A vocabulary of four letters and 40 tokens that merges make of them.
struct RandomBpe {
  std::vector<std::string> texts{"a", "b", "c", "d"};
  std::vector<BpeMerge> merges;

  explicit RandomBpe(std::mt19937& random) {
    while (merges.size() < 40) {
      const auto pick = [&] { return static_cast<std::int32_t>(random() % texts.size()); };
      const std::int32_t left = pick(), right = pick();
      const std::string text =
          texts[static_cast<std::size_t>(left)] + texts[static_cast<std::size_t>(right)];
      if (text.size() > 6 || std::find(texts.begin(), texts.end(), text) != texts.end()) continue;
      merges.push_back({left, right, static_cast<std::int32_t>(texts.size())});
      texts.push_back(text);
    }
    std::shuffle(merges.begin(), merges.end(), random);
  }
};

Ids encode(const Bpe& bpe, std::string_view piece) {
  Ids ids;
  bpe.encode(piece, ids);
  return ids;
}

}  // namespace

TEST_CASE("merging agrees with its definition, for short and for long pieces", "[unit]") {
  std::mt19937 random(20260101);
  for (int round = 0; round < 60; ++round) {
    const RandomBpe made(random);
    const Bpe bpe({.byte_level = true}, made.texts, made.merges);
    for (const std::size_t length : {1, 2, 7, 47, 48, 49, 50, 130}) {
      std::string piece;
      Ids letters;
      for (std::size_t i = 0; i < length; ++i) {
        letters.push_back(static_cast<std::int32_t>(random() % 4));
        piece += static_cast<char>('a' + letters.back());
      }
      INFO("piece " << piece);
      CHECK(encode(bpe, piece) == merge_slowly(letters, made.merges));
    }
  }
}

TEST_CASE("a megabyte of one letter is merged without quadratic work", "[unit]") {
  // Tokens of 2, 4, 8 letters: 2^20 letters become 2^17 tokens. A quadratic merge would take hours.
  const Bpe bpe({.byte_level = true}, {"a", "aa", "aaaa", "aaaaaaaa"},
                {{0, 0, 1}, {1, 1, 2}, {2, 2, 3}});
  CHECK(encode(bpe, std::string(1 << 20, 'a')) == Ids(1 << 17, 3));
}

TEST_CASE("merges go by rank, not by length", "[unit]") {
  // "abc": b+c has rank 0, so a stays alone although "ab" and "abc" are tokens.
  const auto tokenizer = test::load(test::tiny_json());
  CHECK(tokenizer->encode("abc") == Ids{2, 6});
  CHECK(tokenizer->encode("abab") == Ids{7, 7});
  nlohmann::json whole = test::tiny_json();
  whole["model"]["ignore_merges"] = true;
  CHECK(test::load(whole)->encode("abc") == Ids{8});
}

TEST_CASE("merges may be written as text or as pairs", "[unit]") {
  nlohmann::json pairs = test::tiny_json();
  for (auto& merge : pairs["model"]["merges"]) {
    const std::string text = merge;
    merge =
        nlohmann::json::array({text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)});
  }
  CHECK(test::load(pairs)->encode("abcab") == test::load(test::tiny_json())->encode("abcab"));
}

TEST_CASE("unknown characters: one token each, fused, as bytes, or left out", "[unit]") {
  nlohmann::json json = test::tiny_json();
  CHECK(test::load(json)->encode("axya") == Ids{2, 0, 0, 2});
  json["model"]["fuse_unk"] = true;
  CHECK(test::load(json)->encode("axya") == Ids{2, 0, 2});
  json["model"]["byte_fallback"] = true;
  json["model"]["vocab"]["<0xC3>"] = 9;
  json["model"]["vocab"]["<0xA9>"] = 10;
  // U+00E9 is C3 A9; x has no byte token and stays unknown.
  CHECK(test::load(json)->encode("aéx") == Ids{2, 9, 10, 0});
  json = test::tiny_json();
  json["model"]["unk_token"] = nullptr;
  CHECK(test::load(json)->encode("axa") == Ids{2, 2});
}

TEST_CASE("byte characters map every byte and back", "[unit]") {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  CHECK(byte_characters::to_bytes(byte_characters::from_bytes(bytes)) == bytes);
  CHECK(byte_characters::from_bytes(" a\n") ==
        "Ġa\u010A");  // GPT-2's vocabulary writes space and newline so
  CHECK_FALSE(byte_characters::to_bytes("▁a"));
  CHECK(byte_of_piece("<0x0A>") == 10);
  CHECK_FALSE(byte_of_piece("<0x0G>"));
  CHECK_FALSE(byte_of_piece("<0x-1>"));
}
