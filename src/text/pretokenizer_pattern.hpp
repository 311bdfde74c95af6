#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace plumb {

/// Half-open byte range of a piece of text.
struct PieceSpan {
  std::size_t begin, end;
};

/// A regular expression of a tokenizer.json (Oniguruma's syntax as these files use it, read by
/// PCRE2), or a literal text. Const use is thread-safe.
class SplitPattern {
 public:
  /// Throws DataError with the position if the expression cannot be compiled.
  static SplitPattern regex(const std::string& expression);
  static SplitPattern literal(std::string text);

  /// Matches from left to right, without overlap; empty matches are left out. @param text
  /// well-formed UTF-8. Throws DataError if the expression needs more memory or steps than a sane
  /// one does.
  std::vector<PieceSpan> find_all(std::string_view text) const;

 private:
  struct Compiled;
  SplitPattern() = default;
  std::shared_ptr<const Compiled> compiled_;  // absent for a literal
  std::string text_;                          // the literal or the expression
};

}  // namespace plumb
