#pragma once
#include <nlohmann/json.hpp>

#include "text/pretokenizer.hpp"
#include "text/tokenizer_decoder.hpp"
#include "text/unicode_normalizer.hpp"

/// The parts of a tokenizer.json that are lists of steps. Each function takes the value of its key,
/// which may be null, and throws DataError naming a step that is not supported.
namespace plumb {

Normalizer read_normalizer(const nlohmann::json& value);

struct ReadPreTokenizer {
  PreTokenizer pretokenizer;
  bool byte_level = false;  // the model's symbols are bytes
};
ReadPreTokenizer read_pretokenizer(const nlohmann::json& value);

TokenDecoder read_decoder(const nlohmann::json& value);

/// True if the post-processor puts the token `bos` before a text.
bool post_processor_adds(const nlohmann::json& value, const std::string& bos);

}  // namespace plumb
