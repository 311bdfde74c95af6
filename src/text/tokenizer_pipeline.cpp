#include "text/tokenizer_pipeline.hpp"

namespace plumb {
namespace {

class PipelineTokenizer final : public TokenizerBase {
 public:
  explicit PipelineTokenizer(PipelineParts parts)
      : TokenizerBase(std::move(static_cast<TokenizerParts&>(parts))),
        pretokenizer_(std::move(parts.pretokenizer)),
        model_(std::move(parts.model)),
        decoder_(std::move(parts.decoder)) {
    if (!decoder_.is_byte_level()) return;
    const std::vector<std::string>& pieces = this->parts().vocabulary.pieces();
    std::vector<bool> is_added(pieces.size());
    for (const AddedToken& token : this->parts().added)
      is_added[static_cast<std::size_t>(token.id)] = true;
    for (std::size_t id = 0; id < pieces.size(); ++id) {
      const std::string& piece = pieces[id];
      bytes_.push_back(is_added[id] ? piece : byte_characters::to_bytes(piece).value_or(piece));
    }
  }

  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override {
    std::string bytes;
    std::vector<std::string> tokens;
    for (const std::int32_t id : ids) {
      const std::string& piece = parts().vocabulary.piece(id);
      if (skip_special && is_special(id)) continue;
      if (bytes_.empty()) {
        tokens.push_back(piece);
      } else {
        bytes += bytes_[static_cast<std::size_t>(id)];
      }
    }
    return bytes_.empty() ? decoder_.decode(std::move(tokens)) : bytes;
  }

 private:
  void encode_between(std::string_view text, bool at_start,
                      std::vector<std::int32_t>& ids) const override {
    if (parts().normalizer.empty()) return encode_pieces(std::string(text), at_start, ids);
    const std::string normalized = parts().normalizer.apply(text);
    for (const TextPart& part : added().split_normalized(normalized)) {
      if (part.id) {
        ids.push_back(*part.id);
      } else {
        encode_pieces(normalized.substr(part.begin, part.end - part.begin),
                      at_start && part.begin == 0, ids);
      }
    }
  }

  void encode_pieces(std::string text, bool at_start, std::vector<std::int32_t>& ids) const {
    const Pieces pieces = pretokenizer_.apply(std::move(text), at_start);
    const std::string_view whole = pieces.text;
    for (const PieceSpan span : pieces.spans) {
      model_->encode(whole.substr(span.begin, span.end - span.begin), ids);
    }
  }

  PreTokenizer pretokenizer_;
  std::unique_ptr<const PieceModel> model_;
  TokenDecoder decoder_;
  std::vector<std::string>
      bytes_;  // [V] what each id stands for; empty unless the decoder is byte-level
};

}  // namespace

std::unique_ptr<Tokenizer> make_pipeline_tokenizer(PipelineParts parts) {
  return std::make_unique<PipelineTokenizer>(std::move(parts));
}

}  // namespace plumb
