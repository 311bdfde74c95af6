#include "text/wordpiece.hpp"

#include <algorithm>

#include "text/unicode.hpp"

namespace plumb {

WordPiece::WordPiece(WordPieceOptions options, std::vector<std::string> pieces)
    : options_(std::move(options)), pieces_(std::move(pieces)) {
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const std::string_view piece = pieces_[i];
    const auto id = static_cast<std::int32_t>(i);
    if (piece.empty()) continue;
    beginnings_.emplace(piece, id);
    if (piece.starts_with(options_.continuation)) {
      continuations_.emplace(piece.substr(options_.continuation.size()), id);
    }
    longest_ = std::max(longest_, piece.size());
  }
}

void WordPiece::encode(std::string_view word, std::vector<std::int32_t>& ids) const {
  const std::size_t first = ids.size();
  const auto fail = [&] {
    ids.resize(first);
    ids.push_back(options_.unknown);
  };
  const auto is_inside_character = [&](std::size_t at) {
    return at < word.size() && (static_cast<std::uint8_t>(word[at]) & 0xC0) == 0x80;
  };
  std::size_t characters = 0;
  for (std::size_t at = 0; at < word.size(); ++at) characters += is_inside_character(at) ? 0 : 1;
  if (characters > options_.longest_word) return fail();

  for (std::size_t begin = 0; begin < word.size();) {
    const Ids& known = begin == 0 ? beginnings_ : continuations_;
    std::size_t end = std::min(word.size(), begin + longest_);
    auto found = known.end();
    for (; end > begin; --end) {
      if (is_inside_character(end)) continue;
      found = known.find(word.substr(begin, end - begin));
      if (found != known.end()) break;
    }
    if (found == known.end()) return fail();
    ids.push_back(found->second);
    begin = end;
  }
}

}  // namespace plumb
