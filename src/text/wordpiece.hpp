#pragma once
#include <string>
#include <unordered_map>

#include "text/tokenizer_model.hpp"

namespace plumb {

struct WordPieceOptions {
  std::int32_t unknown = 0;
  std::string continuation = "##";  // marks a token that does not begin a word
  std::size_t longest_word = 100;   // characters; longer words are unknown
};

/// BERT's WordPiece: the longest token first, the whole word unknown if a part has no token. Const
/// use is thread-safe.
class WordPiece final : public PieceModel {
 public:
  /// @param pieces [V] the vocabulary; ids that may not come out of plain text are empty
  WordPiece(WordPieceOptions options, std::vector<std::string> pieces);
  WordPiece(const WordPiece&) = delete;
  WordPiece& operator=(const WordPiece&) = delete;

  void encode(std::string_view word, std::vector<std::int32_t>& ids) const override;

 private:
  using Ids = std::unordered_map<std::string_view, std::int32_t>;

  WordPieceOptions options_;
  std::vector<std::string> pieces_;
  Ids beginnings_, continuations_;  // views into pieces_, continuations without their mark
  std::size_t longest_ = 0;         // bytes of the longest token
};

}  // namespace plumb
