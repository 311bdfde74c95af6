#pragma once
#include <optional>
#include <string>
#include <vector>

#include "text/added_tokens.hpp"
#include "text/tokenizer.hpp"
#include "text/tokenizer_files.hpp"
#include "text/tokenizer_vocabulary.hpp"
#include "text/unicode_normalizer.hpp"

namespace plumb {

/// What tokenizers of every kind are made of.
struct TokenizerParts {
  Vocabulary vocabulary;
  std::vector<AddedToken> added;
  Normalizer normalizer;  // of the text between added tokens
  std::optional<std::int32_t> bos, eos;
  bool adds_bos = false;
  TokenizerFiles files;
};

/// Takes added tokens out of a text; how the text between them is encoded is the derived class's.
class TokenizerBase : public Tokenizer {
 public:
  std::vector<std::int32_t> encode_template(
      std::string_view text, std::vector<ProtectedSpan> protected_spans) const override;
  std::string piece(std::int32_t id) const override { return parts_.vocabulary.piece(id); }
  std::optional<std::int32_t> find(std::string_view piece) const override {
    return parts_.vocabulary.find(piece);
  }
  std::int32_t vocab_size() const override { return parts_.vocabulary.size(); }
  bool is_special(std::int32_t id) const override {
    return parts_.vocabulary.contains(id) && is_special_[static_cast<std::size_t>(id)];
  }
  std::optional<std::int32_t> bos() const override { return parts_.bos; }
  std::optional<std::int32_t> eos() const override { return parts_.eos; }
  bool adds_bos() const override { return parts_.adds_bos; }
  void save(const std::filesystem::path& folder, const std::string& chat_template) const override {
    parts_.files.save(folder, chat_template);
  }

 protected:
  explicit TokenizerBase(TokenizerParts parts);

  const TokenizerParts& parts() const { return parts_; }
  const AddedTokens& added() const { return added_; }

 private:
  /// Appends the ids of a text without added tokens; `at_start`: a whole text begins with it.
  virtual void encode_between(std::string_view text, bool at_start,
                              std::vector<std::int32_t>& ids) const = 0;

  TokenizerParts parts_;
  AddedTokens added_;
  std::vector<bool> is_special_;  // [V]
};

/// Longest text that a tokenizer takes, in bytes.
inline constexpr std::size_t kLongestText = std::size_t{1} << 30;
/// Throws DataError if the text is longer.
void check_text_length(std::size_t bytes);

}  // namespace plumb
