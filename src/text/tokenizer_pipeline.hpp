#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/pretokenizer.hpp"
#include "text/tokenizer_base.hpp"
#include "text/tokenizer_decoder.hpp"
#include "text/tokenizer_json.hpp"
#include "text/tokenizer_model.hpp"

namespace plumb {

/// What a tokenizer.json describes: added tokens are taken out of the text, the rest is normalized,
/// cut into pieces, and each piece goes through the model.
struct PipelineParts : TokenizerParts {
  PreTokenizer pretokenizer;
  std::unique_ptr<const PieceModel> model;
  TokenDecoder decoder;
};

std::unique_ptr<Tokenizer> make_pipeline_tokenizer(PipelineParts parts);

/// Reads a tokenizer.json. Throws DataError with `source` and what is wrong or not supported.
std::unique_ptr<Tokenizer> pipeline_from_json(const nlohmann::json& tokenizer,
                                              const TokenizerSettings& settings,
                                              TokenizerFiles files, const std::string& source);

}  // namespace plumb
