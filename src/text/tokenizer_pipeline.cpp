#include "text/tokenizer_pipeline.hpp"

#include "core/error.hpp"

namespace plumb {
namespace {

class PipelineTokenizer final : public Tokenizer {
 public:
  explicit PipelineTokenizer(TokenizerParts parts)
      : parts_(std::move(parts)),
        added_(parts_.added, parts_.normalizer),
        is_special_(parts_.vocabulary.pieces().size()) {
    std::vector<bool> is_added(is_special_.size());
    for (const AddedToken& token : parts_.added) {
      is_added[static_cast<std::size_t>(token.id)] = true;
      is_special_[static_cast<std::size_t>(token.id)] = token.special;
    }
    if (!parts_.decoder.is_byte_level()) return;
    for (std::size_t id = 0; id < is_added.size(); ++id) {
      const std::string& piece = parts_.vocabulary.pieces()[id];
      bytes_.push_back(is_added[id] ? piece : byte_characters::to_bytes(piece).value_or(piece));
    }
  }

  std::vector<std::int32_t> encode_template(
      std::string_view text, std::vector<ProtectedSpan> protected_spans) const override {
    check_text_length(text.size());
    const ValidText valid = to_valid_text(text, std::move(protected_spans));
    const std::string_view whole = valid.text;
    std::vector<std::int32_t> ids;
    ids.reserve(whole.size() / 3);
    for (const TextPart& part : added_.split_raw(whole, valid.spans)) {
      if (part.id) {
        ids.push_back(*part.id);
      } else {
        encode_raw(whole.substr(part.begin, part.end - part.begin), part.begin == 0, ids);
      }
    }
    return ids;
  }

  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override {
    std::string bytes;
    std::vector<std::string> tokens;
    for (const std::int32_t id : ids) {
      const std::string& piece = parts_.vocabulary.piece(id);
      const auto row = static_cast<std::size_t>(id);
      if (skip_special && is_special_[row]) continue;
      if (bytes_.empty()) {
        tokens.push_back(piece);
      } else {
        bytes += bytes_[row];
      }
    }
    return bytes_.empty() ? parts_.decoder.decode(std::move(tokens)) : bytes;
  }

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

 private:
  void encode_raw(std::string_view text, bool at_start, std::vector<std::int32_t>& ids) const {
    if (parts_.normalizer.empty()) return encode_pieces(std::string(text), at_start, ids);
    const std::string normalized = parts_.normalizer.apply(text);
    for (const TextPart& part : added_.split_normalized(normalized)) {
      if (part.id) {
        ids.push_back(*part.id);
      } else {
        encode_pieces(normalized.substr(part.begin, part.end - part.begin),
                      at_start && part.begin == 0, ids);
      }
    }
  }

  void encode_pieces(std::string text, bool at_start, std::vector<std::int32_t>& ids) const {
    const Pieces pieces = parts_.pretokenizer.apply(std::move(text), at_start);
    const std::string_view whole = pieces.text;
    for (const PieceSpan span : pieces.spans) {
      parts_.model->encode(whole.substr(span.begin, span.end - span.begin), ids);
    }
  }

  TokenizerParts parts_;
  AddedTokens added_;
  std::vector<bool> is_special_;  // [V]
  std::vector<std::string>
      bytes_;  // [V] what each id stands for; empty unless the decoder is byte-level
};

}  // namespace

std::unique_ptr<Tokenizer> make_pipeline_tokenizer(TokenizerParts parts) {
  return std::make_unique<PipelineTokenizer>(std::move(parts));
}

void check_text_length(std::size_t bytes) {
  if (bytes > kLongestText) {
    throw DataError(cat("text of ", bytes, " bytes: a tokenizer takes at most ", kLongestText,
                        "; split the text"));
  }
}

}  // namespace plumb
