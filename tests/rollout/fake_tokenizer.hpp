#pragma once
#include <string>
#include <vector>

#include "core/error.hpp"
#include "text/tokenizer.hpp"

namespace plumb::test {

/// A tokenizer that is a list of byte strings.
class PieceTokenizer : public Tokenizer {
 public:
  explicit PieceTokenizer(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}

  std::vector<std::int32_t> encode_template(std::string_view,
                                            std::vector<ProtectedSpan>) const override {
    throw InternalError("PieceTokenizer only decodes");
  }
  std::string decode(std::span<const std::int32_t> ids, bool) const override {
    std::string text;
    for (const std::int32_t id : ids) text += piece(id);
    return text;
  }
  std::string piece(std::int32_t id) const override {
    return pieces_.at(static_cast<std::size_t>(id) % pieces_.size());
  }
  std::optional<std::int32_t> find(std::string_view) const override { return std::nullopt; }
  std::int32_t vocab_size() const override { return static_cast<std::int32_t>(pieces_.size()); }
  bool is_special(std::int32_t) const override { return false; }
  std::optional<std::int32_t> bos() const override { return std::nullopt; }
  std::optional<std::int32_t> eos() const override { return std::nullopt; }
  bool adds_bos() const override { return false; }
  void save(const std::filesystem::path&, const std::string&) const override {}

 private:
  std::vector<std::string> pieces_;
};

}  // namespace plumb::test
