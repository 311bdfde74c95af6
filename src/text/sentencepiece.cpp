#include "text/sentencepiece.hpp"

#include <sentencepiece_processor.h>

#include "core/error.hpp"
#include "text/added_tokens.hpp"
#include "text/sentencepiece_proto.hpp"
#include "text/tokenizer_gguf.hpp"
#include "text/tokenizer_pipeline.hpp"

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

struct SentencePieceParts {
  std::unique_ptr<const Processor> first;  // encodes the beginning of a text
  std::unique_ptr<const Processor> rest;  // encodes text after a special token: never adds a prefix
  bool adds_prefix = false;
  Vocabulary vocabulary;
  std::vector<AddedToken> added;
  std::optional<std::int32_t> bos, eos;
  bool adds_bos = false;
  TokenizerFiles files;
};

class SentencePieceTokenizer final : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(SentencePieceParts parts)
      : parts_(std::move(parts)),
        added_(parts_.added, Normalizer()),
        is_special_(parts_.vocabulary.pieces().size()) {
    for (const std::string& piece : parts_.vocabulary.pieces())
      texts_.push_back(with_spaces(piece));
    for (std::int32_t id = 0; id < parts_.first->GetPieceSize(); ++id) {
      if (!parts_.first->IsByte(id)) continue;
      std::string& text = texts_[static_cast<std::size_t>(id)];
      if (const auto byte = byte_of_piece(text)) text = std::string(1, static_cast<char>(*byte));
    }
    for (const AddedToken& token : parts_.added) {
      is_special_[static_cast<std::size_t>(token.id)] = token.special;
      texts_[static_cast<std::size_t>(token.id)] = token.content;
    }
  }

  std::vector<std::int32_t> encode_template(
      std::string_view text, std::vector<ProtectedSpan> protected_spans) const override {
    check_text_length(text.size());
    const ValidText valid = to_valid_text(text, std::move(protected_spans));
    const std::string_view whole = valid.text;
    std::vector<std::int32_t> ids;
    for (const TextPart& part : added_.split_raw(whole, valid.spans)) {
      if (part.id) {
        ids.push_back(*part.id);
        continue;
      }
      const Processor& processor = part.begin == 0 ? *parts_.first : *parts_.rest;
      std::vector<int> piece_ids;
      const auto status =
          processor.Encode(whole.substr(part.begin, part.end - part.begin), &piece_ids);
      if (!status.ok())
        throw DataError(cat("SentencePiece cannot encode a text: ", status.ToString()));
      ids.insert(ids.end(), piece_ids.begin(), piece_ids.end());
    }
    return ids;
  }

  std::string decode(std::span<const std::int32_t> ids, bool skip_special) const override {
    std::string out;
    bool at_start = true;
    for (const std::int32_t id : ids) {
      parts_.vocabulary.piece(id);  // throws for an id outside of the vocabulary
      const auto row = static_cast<std::size_t>(id);
      if (skip_special && is_special_[row]) continue;
      std::string_view text = texts_[row];
      if (at_start && parts_.adds_prefix && !is_special_[row] && text.starts_with(' '))
        text.remove_prefix(1);
      at_start = false;
      out += text;
    }
    return out;
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
  SentencePieceParts parts_;
  AddedTokens added_;
  std::vector<bool> is_special_;    // [V]
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
