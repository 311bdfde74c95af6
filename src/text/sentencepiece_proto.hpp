#pragma once
#include <string>
#include <string_view>

#include "text/tokenizer.hpp"

/// SentencePiece's model file, written by hand: a protocol buffer (`ModelProto` of
/// sentencepiece_model.proto).
namespace plumb::sentencepiece_proto {

/// A GGUF vocabulary as SentencePiece wants it: "▁" instead of spaces in user-defined pieces,
/// exactly one unknown piece. Throws DataError if that cannot be had (a piece that is empty or
/// appears twice, scores that are not numbers, a part of the 256 byte pieces).
GgufVocabulary restore_pieces(const GgufVocabulary& vocabulary);

/// Serialized model (type BPE, identity normalizer) of a restored vocabulary.
std::string serialize(const GgufVocabulary& restored);

/// The setting add_dummy_prefix of a model file, true where it does not say. Throws DataError if
/// the file is cut off or not a protocol buffer of pieces.
bool adds_dummy_prefix(std::string_view model);
/// The same model with another setting of add_dummy_prefix: a later field of a protocol buffer
/// overrides an earlier one.
std::string with_dummy_prefix(std::string_view model, bool enabled);

}  // namespace plumb::sentencepiece_proto
