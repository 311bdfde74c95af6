#include "text/tokenizer_vocabulary.hpp"

#include <array>
#include <charconv>

#include "core/error.hpp"
#include "text/unicode.hpp"

namespace plumb {

Vocabulary::Vocabulary(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {
  if (pieces_.size() > kMostTokens) {
    throw DataError(
        cat(pieces_.size(), " tokens: more than the ", kMostTokens, " that are supported"));
  }
  ids_.reserve(pieces_.size());
  for (std::int32_t id = 0; id < size(); ++id) {
    const std::string& piece = pieces_[static_cast<std::size_t>(id)];
    const auto [found, fresh] = ids_.emplace(piece, id);
    if (!fresh)
      throw DataError(cat("token '", piece, "' has two ids, ", found->second, " and ", id));
  }
}

const std::string& Vocabulary::piece(std::int32_t id) const {
  if (!contains(id)) {
    throw UsageError(
        cat("token id ", id, " is outside of the vocabulary, which has ids 0 to ", size() - 1));
  }
  return pieces_[static_cast<std::size_t>(id)];
}

std::optional<std::int32_t> Vocabulary::find(std::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

void VocabularyBuilder::add(const std::string& piece, std::int64_t id) {
  if (id < 0 || id >= static_cast<std::int64_t>(Vocabulary::kMostTokens)) {
    throw DataError(cat("token '", piece, "' has id ", id, "; ids run from 0 to ",
                        Vocabulary::kMostTokens - 1));
  }
  const auto row = static_cast<std::size_t>(id);
  if (row >= rows_.size()) rows_.resize(row + 1);
  if (rows_[row])
    throw DataError(
        cat("id ", id, " belongs to two tokens, '", *rows_[row], "' and '", piece, "'"));
  rows_[row] = piece;
}

void VocabularyBuilder::add_again(const std::string& piece, std::int64_t id) {
  const bool known = id >= 0 && static_cast<std::size_t>(id) < rows_.size() &&
                     rows_[static_cast<std::size_t>(id)] == piece;
  if (!known) add(piece, id);
}

Vocabulary VocabularyBuilder::finish() && {
  std::vector<std::string> pieces;
  pieces.reserve(rows_.size());
  for (std::optional<std::string>& row : rows_) {
    if (!row) throw DataError(cat("id ", pieces.size(), " has no token, but higher ids do"));
    pieces.push_back(std::move(*row));
  }
  return Vocabulary(std::move(pieces));
}

namespace byte_characters {
namespace {

struct Tables {
  std::array<char32_t, 256> character;
  std::array<std::int16_t, 0x144> byte;  // -1 where no byte maps
};

Tables make_tables() {
  Tables tables;
  tables.byte.fill(-1);
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    tables.character[byte] = printable ? byte : next++;
    tables.byte[tables.character[byte]] = static_cast<std::int16_t>(byte);
  }
  return tables;
}

const Tables& tables() {
  static const Tables made = make_tables();
  return made;
}

}  // namespace

std::optional<std::string> to_bytes(std::string_view piece) {
  std::string bytes;
  for (std::size_t at = 0; at < piece.size();) {
    const unicode::CodePoint point = unicode::first(piece.substr(at));
    if (point.value >= tables().byte.size() || tables().byte[point.value] < 0) return std::nullopt;
    bytes += static_cast<char>(tables().byte[point.value]);
    at += point.size;
  }
  return bytes;
}

std::string from_bytes(std::string_view bytes) {
  std::string piece;
  for (const char byte : bytes)
    unicode::append(piece, tables().character[static_cast<std::uint8_t>(byte)]);
  return piece;
}

}  // namespace byte_characters

std::optional<std::uint8_t> byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return std::nullopt;
  std::uint8_t value = 0;
  const char* end = piece.data() + 5;
  const auto [stop, error] = std::from_chars(piece.data() + 3, end, value, 16);
  return error == std::errc() && stop == end ? std::optional(value) : std::nullopt;
}

}  // namespace plumb
