#include "text/sentencepiece.hpp"

#include <sentencepiece_processor.h>

#include "core/error.hpp"
#include "text/sentencepiece_proto.hpp"
#include "text/tokenizer_base.hpp"
#include "text/tokenizer_gguf.hpp"

namespace plumb {
namespace {

using Processor = sentencepiece::SentencePieceProcessor;

constexpr std::string_view kSpace = "\u2581";

std::unique_ptr<const Processor> load_processor(std::string_view model) {
  auto processor = std::make_unique<Processor>();
  const auto status = processor->LoadFromSerializedProto(model);
  if (!status.ok()) throw DataError(cat("not a SentencePiece model: ", status.ToString()));
  return processor;
}

std::string with_spaces(std::string_view piece) {
  std::string out;
  for (std::size_t at = 0; at < piece.size();) {
    const bool space = piece.substr(at).starts_with(kSpace);
    out += space ? ' ' : piece[at];
    at += space ? kSpace.size() : 1;
  }
  return out;
}

struct SentencePieceParts : TokenizerParts {
  std::unique_ptr<const Processor> first;  // encodes the beginning of a text
  std::unique_ptr<const Processor> rest;  // encodes text after a special token: never adds a prefix
  bool adds_prefix = false;
};

class SentencePieceTokenizer final : public TokenizerBase {
 public:
  explicit SentencePieceTokenizer(SentencePieceParts parts)
      : TokenizerBase(std::move(static_cast<TokenizerParts&>(parts))),
        first_(std::move(parts.first)),
        rest_(std::move(parts.rest)),
        adds_prefix_(parts.adds_prefix) {
    for (const std::string& piece : this->parts().vocabulary.pieces())
      texts_.push_back(with_spaces(piece));
    for (std::int32_t id = 0; id < first_->GetPieceSize(); ++id) {
      if (!first_->IsByte(id)) continue;
      std::string& text = texts_[static_cast<std::size_t>(id)];
      if (const auto byte = byte_of_piece(text)) text = std::string(1, static_cast<char>(*byte));
    }
    for (const AddedToken& token : this->parts().added)
      texts_[static_cast<std::size_t>(token.id)] = token.content;
  }

  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override {
    std::string out;
    bool at_start = true;
    for (const std::int32_t id : ids) {
      parts().vocabulary.piece(id);  // throws for an id outside of the vocabulary
      const bool special = is_special(id);
      if (skip_special && special) continue;
      std::string_view text = texts_[static_cast<std::size_t>(id)];
      if (at_start && adds_prefix_ && !special && text.starts_with(' ')) text.remove_prefix(1);
      at_start = false;
      out += text;
    }
    return out;
  }

 private:
  void encode_between(std::string_view text, bool at_start,
                      std::vector<std::int32_t>& ids) const override {
    std::vector<int> piece_ids;
    const auto status = (at_start ? *first_ : *rest_).Encode(text, &piece_ids);
    if (!status.ok())
      throw DataError(cat("SentencePiece cannot encode a text: ", status.ToString()));
    ids.insert(ids.end(), piece_ids.begin(), piece_ids.end());
  }

  std::unique_ptr<const Processor> first_, rest_;
  bool adds_prefix_;
  std::vector<std::string> texts_;  // [V] what each id stands for, with real spaces and bytes
};

/// The pieces of the model, and the tokens that other files of the folder add.
void read_vocabulary(const TokenizerSettings& settings, const TokenizerFiles& files,
                     SentencePieceParts& parts) {
  VocabularyBuilder builder;
  const Processor& processor = *parts.first;
  for (std::int32_t id = 0; id < processor.GetPieceSize(); ++id) {
    const std::string& piece = processor.IdToPiece(id);
    builder.add(piece, id);
    if (processor.IsControl(id) || processor.IsUnknown(id)) {
      parts.added.push_back({.id = id, .content = piece, .special = true});
    }
  }
  const auto add = [&](AddedToken token) {
    const bool in_model = token.id < processor.GetPieceSize();
    builder.add_again(token.content, token.id);
    const auto same = [&](const AddedToken& other) { return other.id == token.id; };
    if (!in_model && std::none_of(parts.added.begin(), parts.added.end(), same))
      parts.added.push_back(std::move(token));
  };
  for (const auto& [id, value] : settings.added_tokens.items()) {
    add(read_added_token(value, parse_token_id(id)));
  }
  if (files.has("added_tokens.json")) {
    const nlohmann::json tokens = parse_json(files["added_tokens.json"], "added_tokens.json");
    for (const auto& [content, id] : tokens.items()) {
      add({.id = parse_token_id(id.dump()), .content = content, .special = true});
    }
  }
  parts.vocabulary = std::move(builder).finish();
}

SentencePieceParts read_parts(const TokenizerFiles& files, const TokenizerSettings& settings) {
  const std::string& model = files["tokenizer.model"];
  SentencePieceParts parts;
  parts.adds_prefix = sentencepiece_proto::adds_dummy_prefix(model);
  parts.first = load_processor(model);
  parts.rest = load_processor(sentencepiece_proto::with_dummy_prefix(model, false));
  read_vocabulary(settings, files, parts);
  const auto id_of = [&](const std::optional<std::string>& name, int id) {
    if (name) return parts.vocabulary.find(*name);
    return id >= 0 ? std::optional<std::int32_t>(id) : std::nullopt;
  };
  parts.bos = id_of(settings.bos, parts.first->bos_id());
  parts.eos = id_of(settings.eos, parts.first->eos_id());
  parts.adds_bos = parts.bos && settings.add_bos.value_or(true);
  return parts;
}

}  // namespace

std::unique_ptr<Tokenizer> sentencepiece_from_files(TokenizerFiles files,
                                                    const TokenizerSettings& settings,
                                                    const std::string& source) {
  try {
    SentencePieceParts parts = read_parts(files, settings);
    parts.files = std::move(files);
    return std::make_unique<SentencePieceTokenizer>(std::move(parts));
  } catch (const DataError& error) {
    throw DataError(cat(source, ": ", error.what()));
  } catch (const nlohmann::json::exception& error) {
    throw DataError(cat(source, ": ", error.what()));
  }
}

std::unique_ptr<Tokenizer> sentencepiece_from_gguf(const GgufVocabulary& vocabulary) {
  const GgufVocabulary restored = sentencepiece_proto::restore_pieces(vocabulary);
  nlohmann::json config = gguf::config_json(restored);
  config[kOriginalFileKey] = "tokenizer.model";
  TokenizerFiles files;
  files.set("tokenizer.model", sentencepiece_proto::serialize(restored));
  files.set("tokenizer.json", sentencepiece_json(restored).dump());
  files.set("tokenizer_config.json", config.dump(2) + "\n");
  return sentencepiece_from_files(std::move(files), read_settings(config, nlohmann::json::object()),
                                  "GGUF vocabulary");
}

}  // namespace plumb
