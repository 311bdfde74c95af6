#include <algorithm>

#include "core/error.hpp"
#include "text/tokenizer_gguf.hpp"

namespace plumb::gguf {
namespace {

using nlohmann::json;

bool is_bracketed(std::string_view piece) { return piece.starts_with('[') && piece.ends_with(']'); }

bool is_mark(std::string_view piece) {
  return is_bracketed(piece) && piece.size() > 2 && !piece.starts_with("[unused");
}

}  // namespace

GgufVocabulary restore_wordpieces(const GgufVocabulary& vocabulary) {
  constexpr std::string_view kBeginning = "\u2581";
  GgufVocabulary restored = vocabulary;
  for (std::size_t id = 0; id < restored.tokens.size(); ++id) {
    std::string& token = restored.tokens[id];
    if (token.starts_with(kBeginning)) {
      token.erase(0, kBeginning.size());
    } else if (!is_bracketed(token)) {
      token.insert(0, "##");
    }
  }
  name_wordpiece_marks(restored);
  return restored;
}

void name_wordpiece_marks(GgufVocabulary& vocabulary) {
  vocabulary.token_types.assign(vocabulary.tokens.size(), kNormal);
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (is_mark(vocabulary.tokens[id])) vocabulary.token_types[id] = kControl;
  }
  const auto fill = [&](std::optional<std::int32_t>& id, std::string_view name) {
    if (id) return;
    const auto found = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), name);
    if (found == vocabulary.tokens.end())
      throw DataError(cat("tokenizer.ggml.tokens: a BERT vocabulary without ", name));
    id = static_cast<std::int32_t>(found - vocabulary.tokens.begin());
  };
  fill(vocabulary.unknown, "[UNK]");
  fill(vocabulary.bos, "[CLS]");
  fill(vocabulary.eos, "[SEP]");
  fill(vocabulary.pad, "[PAD]");
  for (const auto& id : {vocabulary.unknown, vocabulary.bos, vocabulary.eos, vocabulary.pad}) {
    vocabulary.token_types[static_cast<std::size_t>(*id)] = kControl;
  }
}

json wordpiece_json(const GgufVocabulary& restored) {
  const auto token = [&](std::optional<std::int32_t> id) {
    return restored.tokens[static_cast<std::size_t>(*id)];
  };
  json model{{"type", "WordPiece"},
             {"unk_token", token(restored.unknown)},
             {"continuing_subword_prefix", "##"},
             {"max_input_chars_per_word", 100},
             {"vocab", vocab_json(restored.tokens)}};
  const json normalizer{{"type", "BertNormalizer"},
                        {"clean_text", true},
                        {"handle_chinese_chars", true},
                        {"strip_accents", nullptr},
                        {"lowercase", true}};
  const json decoder{{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  json post_processor =
      post_processor_json(token(restored.bos), token(restored.eos), model.at("vocab"));
  return document(std::move(model), normalizer, json::object({{"type", "BertPreTokenizer"}}),
                  std::move(post_processor), decoder, added_tokens_json(restored));
}

json wordpiece_config_json(const GgufVocabulary& restored) {
  const auto token = [&](std::optional<std::int32_t> id) {
    return restored.tokens[static_cast<std::size_t>(*id)];
  };
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"clean_up_tokenization_spaces", false},
          {"cls_token", token(restored.bos)},
          {"sep_token", token(restored.eos)},
          {"unk_token", token(restored.unknown)},
          {"pad_token", token(restored.pad)}};
}

}  // namespace plumb::gguf
