#include <algorithm>
#include <limits>
#include <tuple>
#include <unordered_map>

#include "text/sentencepiece.hpp"
#include "text/tokenizer_gguf.hpp"
#include "text/unicode.hpp"

namespace plumb {
namespace {

using nlohmann::json;

constexpr const char* kSpace = "\u2581";

struct Merge {
  float score;
  std::int32_t left, right;
};

/// SentencePiece joins the neighbours whose concatenation has the best score; as ranked merges
/// these are all ways to split a piece in two pieces, best score first, ties by the ids of the
/// sides.
std::vector<Merge> merges_of(const GgufVocabulary& vocabulary) {
  std::unordered_map<std::string_view, std::int32_t> ids;
  const auto merges_into = [&](std::size_t id) {
    const std::int32_t type = vocabulary.token_types[id];
    return type == gguf::kNormal || type == gguf::kUserDefined;
  };
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (merges_into(id)) ids.emplace(vocabulary.tokens[id], static_cast<std::int32_t>(id));
  }
  std::vector<Merge> merges;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (!merges_into(id)) continue;
    const std::string_view piece = vocabulary.tokens[id];
    const bool whole_first = vocabulary.token_types[id] == gguf::kUserDefined;
    const float score = whole_first ? std::numeric_limits<float>::max() : vocabulary.scores[id];
    for (std::size_t cut = unicode::first(piece).size; cut < piece.size();
         cut += unicode::first(piece.substr(cut)).size) {
      const auto left = ids.find(piece.substr(0, cut));
      const auto right = ids.find(piece.substr(cut));
      if (left != ids.end() && right != ids.end())
        merges.push_back({score, left->second, right->second});
    }
  }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tuple(-a.score, a.left, a.right) < std::tuple(-b.score, b.left, b.right);
  });
  return merges;
}

json added_tokens(const GgufVocabulary& vocabulary) {
  GgufVocabulary findable = vocabulary;
  for (std::size_t id = 0; id < findable.tokens.size(); ++id) {
    // Their text in a document has real spaces; the merges find them.
    if (findable.tokens[id].find(kSpace) != std::string::npos)
      findable.token_types[id] = gguf::kNormal;
  }
  return gguf::added_tokens_json(findable);
}

}  // namespace

json sentencepiece_json(const GgufVocabulary& restored) {
  json merges = json::array();
  for (const Merge& merge : merges_of(restored)) {
    const auto piece = [&](std::int32_t id) {
      return restored.tokens[static_cast<std::size_t>(id)];
    };
    merges.push_back(json::array({piece(merge.left), piece(merge.right)}));
  }
  const auto& types = restored.token_types;
  json model{{"type", "BPE"},
             {"dropout", nullptr},
             {"unk_token", restored.tokens[static_cast<std::size_t>(*restored.unknown)]},
             {"continuing_subword_prefix", nullptr},
             {"end_of_word_suffix", nullptr},
             {"fuse_unk", true},
             {"byte_fallback", std::find(types.begin(), types.end(), gguf::kByte) != types.end()},
             {"ignore_merges", false},
             {"vocab", gguf::vocab_json(restored.tokens)},
             {"merges", std::move(merges)}};
  const json pretokenizer{{"type", "Metaspace"},
                          {"replacement", kSpace},
                          {"prepend_scheme", restored.add_space_prefix ? "first" : "never"},
                          {"split", false}};
  json decoders =
      json::array({{{"type", "Replace"}, {"pattern", {{"String", kSpace}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}});
  if (restored.add_space_prefix) {
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  std::optional<std::string> bos;
  if (restored.add_bos && restored.bos)
    bos = restored.tokens[static_cast<std::size_t>(*restored.bos)];
  json post_processor = gguf::post_processor_json(bos, std::nullopt, model.at("vocab"));
  return gguf::document(std::move(model), nullptr, pretokenizer, std::move(post_processor),
                        {{"type", "Sequence"}, {"decoders", std::move(decoders)}},
                        added_tokens(restored));
}

}  // namespace plumb
