#include "text/added_tokens.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "text/unicode.hpp"
#include "text/unicode_normalizer.hpp"

namespace plumb {
namespace {

bool overlaps(std::span<const ProtectedSpan> spans, std::size_t begin, std::size_t end) {
  const auto next = std::partition_point(
      spans.begin(), spans.end(), [begin](const ProtectedSpan& span) { return span.end <= begin; });
  return next != spans.end() && next->begin < end;
}

bool is_inside_word(std::string_view text, std::size_t begin, std::size_t end) {
  const bool before = begin > 0 && unicode::is_word(unicode::last(text.substr(0, begin)).value);
  const bool after = end < text.size() && unicode::is_word(unicode::first(text.substr(end)).value);
  return before || after;
}

std::size_t skip_space_left(std::string_view text, std::size_t at, std::size_t limit) {
  while (at > limit) {
    const unicode::CodePoint point = unicode::last(text.substr(limit, at - limit));
    if (!unicode::is_space(point.value)) break;
    at -= point.size;
  }
  return at;
}

std::size_t skip_space_right(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const unicode::CodePoint point = unicode::first(text.substr(at));
    if (!unicode::is_space(point.value)) break;
    at += point.size;
  }
  return at;
}

std::vector<AddedToken> chosen(const std::vector<AddedToken>& tokens, bool raw,
                               const Normalizer& normalizer) {
  std::vector<AddedToken> out;
  for (AddedToken token : tokens) {
    if ((token.special || !token.normalized || normalizer.empty()) != raw) continue;
    if (!raw) token.content = normalizer.apply(token.content);
    out.push_back(std::move(token));
  }
  return out;
}

}  // namespace

TokenMatcher::TokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::sort(tokens_.begin(), tokens_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& content = tokens_[i].content;
    if (content.empty()) throw DataError(cat("added token ", tokens_[i].id, " is empty"));
    if (i > 0 && tokens_[i - 1].content == content) {
      throw DataError(cat("added token '", content, "' is there twice, as ", tokens_[i - 1].id,
                          " and ", tokens_[i].id));
    }
    ++of_byte_[static_cast<std::uint8_t>(content[0]) + std::size_t{1}];
  }
  for (std::size_t byte = 1; byte < of_byte_.size(); ++byte) of_byte_[byte] += of_byte_[byte - 1];
}

const AddedToken* TokenMatcher::longest_at(std::string_view text, std::size_t at,
                                           std::span<const ProtectedSpan> protected_spans) const {
  const auto first_byte = static_cast<std::uint8_t>(text[at]);
  auto low = tokens_.begin() + of_byte_[first_byte];
  auto high = tokens_.begin() + of_byte_[first_byte + std::size_t{1}];
  const AddedToken* best = nullptr;
  for (std::size_t length = 1; low != high;
       ++length) {  // tokens in [low, high) share text[at, at + length)
    if (low->content.size() == length) {
      const bool acceptable = !low->special || !overlaps(protected_spans, at, at + length);
      if (acceptable) best = &*low;
      if (++low == high) break;
    }
    if (at + length == text.size()) break;
    const auto byte_at = [length](const AddedToken& token) {
      return static_cast<std::uint8_t>(token.content[length]);
    };
    const auto byte = static_cast<std::uint8_t>(text[at + length]);
    low = std::partition_point(low, high,
                               [&](const AddedToken& token) { return byte_at(token) < byte; });
    high = std::partition_point(low, high,
                                [&](const AddedToken& token) { return byte_at(token) == byte; });
  }
  return best;
}

std::vector<TextPart> TokenMatcher::split(std::string_view text,
                                          std::span<const ProtectedSpan> protected_spans) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<std::uint8_t>(text[at]);
    if (of_byte_[byte] == of_byte_[byte + std::size_t{1}]) {
      ++at;
      continue;
    }
    const AddedToken* token = longest_at(text, at, protected_spans);
    if (token == nullptr) {
      ++at;
      continue;
    }
    std::size_t begin = at;
    std::size_t end = at + token->content.size();
    at = end;
    if (token->single_word && is_inside_word(text, begin, end)) continue;
    if (token->lstrip) begin = skip_space_left(text, begin, done);
    if (token->rstrip) end = skip_space_right(text, end);
    if (begin > done) parts.push_back({std::nullopt, done, begin});
    parts.push_back({token->id, begin, end});
    done = at = end;
  }
  if (done < text.size()) parts.push_back({std::nullopt, done, text.size()});
  return parts;
}

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, const Normalizer& normalizer)
    : raw_(chosen(tokens, true, normalizer)), normalized_(chosen(tokens, false, normalizer)) {}

ValidText to_valid_text(std::string_view text, std::vector<ProtectedSpan> spans) {
  std::size_t last_end = 0;
  for (const ProtectedSpan& span : spans) {
    expects(span.begin >= last_end && span.end >= span.begin && span.end <= text.size(),
            "protected spans that are sorted, disjoint and inside of the text");
    last_end = span.end;
  }
  if (is_valid_utf8(text)) return {std::string(text), std::move(spans)};
  std::string valid;
  std::size_t done = 0;
  for (ProtectedSpan& span : spans) {
    valid += to_valid_utf8(text.substr(done, span.begin - done));
    const std::size_t begin = valid.size();
    valid += to_valid_utf8(text.substr(span.begin, span.end - span.begin));
    done = span.end;
    span = {begin, valid.size()};
  }
  valid += to_valid_utf8(text.substr(done));
  return {std::move(valid), std::move(spans)};
}

}  // namespace plumb
