#include "text/sentencepiece_proto.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "core/error.hpp"
#include "text/tokenizer_gguf.hpp"
#include "text/tokenizer_vocabulary.hpp"

namespace plumb::sentencepiece_proto {
namespace {

enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
  out += static_cast<char>(value);
}

void append_tag(std::string& out, std::uint32_t field, WireType type) {
  append_varint(out, (field << 3) | type);
}

/// Negative numbers take ten bytes, as protocol buffers write an int32.
void append_int(std::string& out, std::uint32_t field, std::int64_t value) {
  append_tag(out, field, kVarint);
  append_varint(out, static_cast<std::uint64_t>(value));
}

void append_float(std::string& out, std::uint32_t field, float value) {
  append_tag(out, field, kFixed32);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>((bits >> shift) & 0xFF);
}

void append_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  append_tag(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

/// Reads the fields of one message in order. Throws DataError when they run past its end.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  struct Field {
    std::uint32_t number;
    std::uint64_t value;     // of a varint
    std::string_view bytes;  // of anything else
  };

  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t tag = varint();
    Field field{static_cast<std::uint32_t>(tag >> 3), 0, {}};
    switch (tag & 7) {
      case kVarint:
        field.value = varint();
        break;
      case kFixed64:
        field.bytes = take(8);
        break;
      case kBytes:
        field.bytes = take(varint());
        break;
      case kFixed32:
        field.bytes = take(4);
        break;
      default:
        fail();
    }
    return field;
  }

 private:
  [[noreturn]] static void fail() { throw DataError("cut off, or not a SentencePiece model"); }

  std::string_view take(std::uint64_t size) {
    if (size > rest_.size()) fail();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(take(1)[0]);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return value;
    }
    fail();
  }

  std::string_view rest_;
};

constexpr std::uint32_t kModelPieces = 1, kModelTrainer = 2, kModelNormalizer = 3;
constexpr std::uint32_t kAddDummyPrefix = 3;

void restore_spaces(std::string& piece) {
  constexpr std::string_view kSpace = "\u2581";
  std::string out;
  for (const char c : piece) {
    if (c == ' ') {
      out += kSpace;
    } else {
      out += c;
    }
  }
  piece = std::move(out);
}

/// Leaves exactly one piece of type unknown: the named one, or the first.
void settle_unknown(GgufVocabulary& vocabulary) {
  auto& types = vocabulary.token_types;
  const auto first = std::find(types.begin(), types.end(), gguf::kUnknown);
  if (!vocabulary.unknown && first != types.end()) {
    vocabulary.unknown = static_cast<std::int32_t>(first - types.begin());
  }
  if (!vocabulary.unknown)
    throw DataError("tokenizer.ggml.tokens: no unknown token, which SentencePiece needs");
  std::replace(types.begin(), types.end(), std::int32_t{gguf::kUnknown},
               std::int32_t{gguf::kControl});
  types[static_cast<std::size_t>(*vocabulary.unknown)] = gguf::kUnknown;
}

void check_pieces(const GgufVocabulary& vocabulary) {
  std::unordered_map<std::string_view, std::size_t> seen;
  std::size_t bytes = 0;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& piece = vocabulary.tokens[id];
    if (piece.empty()) throw DataError(cat("tokenizer.ggml.tokens: token ", id, " is empty"));
    const auto [found, fresh] = seen.emplace(piece, id);
    if (!fresh)
      throw DataError(
          cat("tokenizer.ggml.tokens: '", piece, "' has two ids, ", found->second, " and ", id));
    if (!std::isfinite(vocabulary.scores[id]))
      throw DataError(cat("tokenizer.ggml.scores: score ", id, " is not a number"));
    const std::int32_t type = vocabulary.token_types[id];
    if (type < gguf::kNormal || type > gguf::kByte) {
      throw DataError(
          cat("tokenizer.ggml.token_type: token ", id, " has type ", type, ", expected 1 to 6"));
    }
    if (type != gguf::kByte) continue;
    if (!byte_of_piece(piece))
      throw DataError(cat("tokenizer.ggml.tokens: byte token ", id, " is '", piece, "'"));
    ++bytes;
  }
  if (bytes != 0 && bytes != 256) {
    throw DataError(
        cat("tokenizer.ggml.token_type: ", bytes, " byte tokens, expected 256 or none"));
  }
}

}  // namespace

GgufVocabulary restore_pieces(const GgufVocabulary& vocabulary) {
  if (vocabulary.scores.empty() || vocabulary.token_types.empty()) {
    throw DataError(
        "tokenizer.ggml.scores and tokenizer.ggml.token_type: missing, SentencePiece needs them");
  }
  GgufVocabulary restored = vocabulary;
  for (std::size_t id = 0; id < restored.tokens.size(); ++id) {
    if (restored.token_types[id] == gguf::kUserDefined) restore_spaces(restored.tokens[id]);
  }
  settle_unknown(restored);
  check_pieces(restored);
  return restored;
}

std::string serialize(const GgufVocabulary& restored) {
  std::string model;
  for (std::size_t id = 0; id < restored.tokens.size(); ++id) {
    std::string piece;
    append_bytes(piece, 1, restored.tokens[id]);
    append_float(piece, 2, restored.scores[id]);
    append_int(piece, 3, restored.token_types[id]);
    append_bytes(model, kModelPieces, piece);
  }
  const auto& types = restored.token_types;
  const bool has_bytes = std::find(types.begin(), types.end(), gguf::kByte) != types.end();
  constexpr std::int64_t kBytePairEncoding = 2;
  std::string trainer;
  append_int(trainer, 3, kBytePairEncoding);
  append_int(trainer, 4, static_cast<std::int64_t>(restored.tokens.size()));
  append_int(trainer, 35, has_bytes ? 1 : 0);
  append_int(trainer, 40, restored.unknown.value_or(-1));
  append_int(trainer, 41, restored.bos.value_or(-1));
  append_int(trainer, 42, restored.eos.value_or(-1));
  append_int(trainer, 43, restored.pad.value_or(-1));
  append_bytes(model, kModelTrainer, trainer);
  std::string normalizer;
  append_bytes(normalizer, 1, "identity");
  append_int(normalizer, kAddDummyPrefix, restored.add_space_prefix ? 1 : 0);
  append_int(normalizer, 4, 0);  // remove_extra_whitespaces
  append_int(normalizer, 5, 1);  // escape_whitespaces
  append_bytes(model, kModelNormalizer, normalizer);
  return model;
}

bool adds_dummy_prefix(std::string_view model) {
  bool adds = true;
  std::size_t pieces = 0;
  Fields fields(model);
  while (const auto field = fields.next()) {
    Fields members(field->bytes);
    if (field->number == kModelPieces) {
      while (members.next()) continue;
      ++pieces;
    }
    if (field->number != kModelNormalizer) continue;
    while (const auto member = members.next()) {
      if (member->number == kAddDummyPrefix) adds = member->value != 0;
    }
  }
  if (pieces == 0) throw DataError("no pieces, not a SentencePiece model");
  return adds;
}

std::string with_dummy_prefix(std::string_view model, bool enabled) {
  std::string normalizer;
  append_int(normalizer, kAddDummyPrefix, enabled ? 1 : 0);
  std::string changed(model);
  append_bytes(changed, kModelNormalizer, normalizer);
  return changed;
}

}  // namespace plumb::sentencepiece_proto
