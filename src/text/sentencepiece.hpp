#pragma once
#include <memory>

#include "text/tokenizer.hpp"
#include "text/tokenizer_files.hpp"
#include "text/tokenizer_json.hpp"

namespace plumb {

/// Tokenizer of a tokenizer.model file among `files`, run by the SentencePiece library.
/// Throws DataError with `source` if the file is not a SentencePiece model.
std::unique_ptr<Tokenizer> sentencepiece_from_files(TokenizerFiles files,
                                                    const TokenizerSettings& settings,
                                                    const std::string& source);

/// Tokenizer of a GGUF vocabulary of model "llama".
std::unique_ptr<Tokenizer> sentencepiece_from_gguf(const GgufVocabulary& vocabulary);

/// The same tokenizer as a tokenizer.json with byte-pair merges, for a vocabulary as
/// sentencepiece_proto::restore_pieces returns it. Its ids differ in one case: Hugging Face's
/// Metaspace adds no prefix to a text that begins with a space. So tokenizer_config.json names
/// tokenizer.model under kOriginalFileKey for load_tokenizer.
nlohmann::json sentencepiece_json(const GgufVocabulary& restored);

}  // namespace plumb
