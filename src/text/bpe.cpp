#include "text/bpe.hpp"

#include <algorithm>

#include "text/tokenizer_vocabulary.hpp"
#include "text/unicode.hpp"

namespace plumb {

Bpe::Bpe(const BpeOptions& options, std::vector<std::string> texts,
         const std::vector<BpeMerge>& merges)
    : options_(options), merges_(merges), texts_(std::move(texts)) {
  byte_ids_.fill(-1);
  ids_.reserve(texts_.size());
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const std::string& text = texts_[i];
    const auto id = static_cast<std::int32_t>(i);
    if (text.empty()) continue;
    ids_.emplace(text, id);
    if (options_.byte_level && text.size() == 1) byte_ids_[static_cast<std::uint8_t>(text[0])] = id;
    if (options_.byte_level || !options_.byte_fallback) continue;
    if (const auto byte = byte_of_piece(text)) byte_ids_[*byte] = id;
  }
  std::vector<std::int32_t> ids;
  whole_.reserve(ids_.size());
  for (const auto& [text, id] : ids_) {
    ids.clear();
    if (!options_.ignore_merges) append_merged(text, ids);
    if (!options_.ignore_merges && (ids.size() != 1 || ids[0] != id)) continue;
    whole_.emplace(text, id);
    longest_ = std::max(longest_, text.size());
  }
}

void Bpe::encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (piece.size() <= longest_) {
    if (const auto found = whole_.find(piece); found != whole_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  append_merged(piece, ids);
}

void Bpe::append_merged(std::string_view piece, std::vector<std::int32_t>& ids) const {
  const std::size_t first = ids.size();
  append_symbols(piece, ids);
  merges_.apply(ids, first);
}

std::int32_t Bpe::symbol(std::string_view text) const {
  if (options_.byte_level) return byte_ids_[static_cast<std::uint8_t>(text[0])];
  const auto found = ids_.find(text);
  return found == ids_.end() ? -1 : found->second;
}

bool Bpe::append_bytes(std::string_view character, std::vector<std::int32_t>& ids) const {
  const auto id_of = [this](char byte) { return byte_ids_[static_cast<std::uint8_t>(byte)]; };
  if (std::any_of(character.begin(), character.end(), [&](char byte) { return id_of(byte) < 0; }))
    return false;
  std::transform(character.begin(), character.end(), std::back_inserter(ids), id_of);
  return true;
}

void Bpe::append_symbols(std::string_view piece, std::vector<std::int32_t>& ids) const {
  bool unknown_pending = false;
  const auto flush_unknown = [&] {
    if (unknown_pending) ids.push_back(*options_.unknown);
    unknown_pending = false;
  };
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t size = options_.byte_level ? 1 : unicode::first(piece.substr(at)).size;
    const std::string_view text = piece.substr(at, size);
    at += size;
    if (const std::int32_t id = symbol(text); id >= 0) {
      flush_unknown();
      ids.push_back(id);
    } else if (!options_.byte_level && options_.byte_fallback && append_bytes(text, ids)) {
      continue;
    } else if (options_.unknown) {
      if (!options_.fuse_unknown) flush_unknown();
      unknown_pending = true;
    }
  }
  flush_unknown();
}

}  // namespace plumb
