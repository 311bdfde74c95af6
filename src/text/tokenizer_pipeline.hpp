#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/added_tokens.hpp"
#include "text/pretokenizer.hpp"
#include "text/tokenizer_decoder.hpp"
#include "text/tokenizer_files.hpp"
#include "text/tokenizer_json.hpp"
#include "text/tokenizer_model.hpp"
#include "text/tokenizer_vocabulary.hpp"
#include "text/unicode_normalizer.hpp"

namespace plumb {

/// What a tokenizer.json describes: added tokens are taken out of the text, the rest is normalized,
/// cut into pieces, and each piece goes through the model.
struct TokenizerParts {
  Vocabulary vocabulary;
  std::vector<AddedToken> added;
  Normalizer normalizer;
  PreTokenizer pretokenizer;
  std::unique_ptr<const PieceModel> model;
  TokenDecoder decoder;
  std::optional<std::int32_t> bos, eos;
  bool adds_bos = false;
  TokenizerFiles files;
};

std::unique_ptr<Tokenizer> make_pipeline_tokenizer(TokenizerParts parts);

/// Reads a tokenizer.json. Throws DataError with `source` and what is wrong or not supported.
std::unique_ptr<Tokenizer> pipeline_from_json(const nlohmann::json& tokenizer,
                                              const TokenizerSettings& settings,
                                              TokenizerFiles files, const std::string& source);

/// Longest text that a tokenizer takes, in bytes.
inline constexpr std::size_t kLongestText = std::size_t{1} << 30;
/// Throws DataError if the text is longer.
void check_text_length(std::size_t bytes);

}  // namespace plumb
