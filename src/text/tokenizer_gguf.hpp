#pragma once
#include <nlohmann/json.hpp>

#include "text/tokenizer.hpp"

/// Hugging Face files for a vocabulary that stands in a GGUF file. Every function throws DataError
/// for a vocabulary that contradicts itself or is of a kind that is not supported.
namespace plumb::gguf {

/// Checks sizes and ids that all kinds share.
void check(const GgufVocabulary& vocabulary);
/// tokenizer.json of model "gpt2" (byte-level BPE).
nlohmann::json byte_level_json(const GgufVocabulary& vocabulary);
/// A vocabulary of model "bert" as BERT itself writes it: "##x" inside of words, ids of [CLS]
/// (bos), [SEP] (eos), [UNK] and [PAD] filled in. GGUF marks the beginning of words instead.
GgufVocabulary restore_wordpieces(const GgufVocabulary& vocabulary);
/// Fills in types and those ids of a BERT vocabulary that are missing, by the tokens' names.
void name_wordpiece_marks(GgufVocabulary& vocabulary);
/// tokenizer.json and tokenizer_config.json of a restored vocabulary.
nlohmann::json wordpiece_json(const GgufVocabulary& restored);
nlohmann::json wordpiece_config_json(const GgufVocabulary& restored);
/// tokenizer_config.json of the other kinds.
nlohmann::json config_json(const GgufVocabulary& vocabulary);

/// A whole tokenizer.json of its parts.
nlohmann::json document(nlohmann::json model, nlohmann::json normalizer,
                        nlohmann::json pretokenizer, nlohmann::json post_processor,
                        nlohmann::json decoder, nlohmann::json added_tokens);
/// The added tokens of a tokenizer.json: control and unknown tokens are special, user-defined ones
/// are not.
nlohmann::json added_tokens_json(const GgufVocabulary& vocabulary);
/// A post-processor that puts tokens before and after a text, null if there are none. `vocab` maps
/// pieces to ids.
nlohmann::json post_processor_json(const std::optional<std::string>& before,
                                   const std::optional<std::string>& after,
                                   const nlohmann::json& vocab);
nlohmann::json vocab_json(const std::vector<std::string>& tokens);

enum TokenType : std::int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

}  // namespace plumb::gguf
