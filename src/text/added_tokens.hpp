#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.hpp"

namespace plumb {

class Normalizer;

/// A token that is found in the text itself, before any model sees it.
struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  // not inside of a word
  bool lstrip = false;       // eats white space before it
  bool rstrip = false;       // eats white space after it
  bool normalized = false;   // found in the normalized text
  bool special = false;      // a mark of the model, not text; found outside of protected spans only
};

/// Either an added token or a stretch of text between two.
struct TextPart {
  std::optional<std::int32_t> id;
  std::size_t begin, end;  // bytes
};

/// Finds strings of a fixed set: at each place the longest one that is acceptable.
class TokenMatcher {
 public:
  explicit TokenMatcher(std::vector<AddedToken> tokens);
  /// @param protected_spans sorted and disjoint
  std::vector<TextPart> split(std::string_view text,
                              std::span<const ProtectedSpan> protected_spans) const;

 private:
  const AddedToken* longest_at(std::string_view text, std::size_t at,
                               std::span<const ProtectedSpan> protected_spans) const;

  std::vector<AddedToken> tokens_;  // sorted by content
  std::array<std::uint32_t, 257>
      of_byte_{};  // tokens_[of_byte_[b]..of_byte_[b + 1]) begin with byte b
};

/// The added tokens of a tokenizer: special ones and unnormalized ones are found in the raw text
/// (specials thereby cannot be made up by a normalizer), the others in the normalized text.
class AddedTokens {
 public:
  /// Throws DataError for an empty token or one that is there twice.
  AddedTokens(const std::vector<AddedToken>& tokens, const Normalizer& normalizer);

  std::vector<TextPart> split_raw(std::string_view text,
                                  std::span<const ProtectedSpan> protected_spans) const {
    return raw_.split(text, protected_spans);
  }
  std::vector<TextPart> split_normalized(std::string_view text) const {
    return normalized_.split(text, {});
  }

 private:
  TokenMatcher raw_, normalized_;
};

/// A text with every malformed sequence replaced by U+FFFD, and the spans that cover the same
/// characters in it.
struct ValidText {
  std::string text;
  std::vector<ProtectedSpan> spans;
};
/// Throws InternalError unless the spans are sorted, disjoint and inside of the text.
ValidText to_valid_text(std::string_view text, std::vector<ProtectedSpan> spans);

}  // namespace plumb
