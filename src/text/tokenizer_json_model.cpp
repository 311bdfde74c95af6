#include <unordered_set>

#include "core/error.hpp"
#include "text/bpe.hpp"
#include "text/tokenizer_json_steps.hpp"
#include "text/tokenizer_pipeline.hpp"
#include "text/wordpiece.hpp"

namespace plumb {
namespace {

using nlohmann::json;

constexpr std::size_t kMostMerges = std::size_t{1} << 22;

/// The model's vocabulary, and whether an id may come out of plain text.
struct ReadVocabulary {
  Vocabulary vocabulary;
  std::vector<AddedToken> added;
  std::vector<bool> from_text;  // [V] in the model's own vocabulary and not special
};

/// Marks the tokens that tokenizer_config.json names as special, which `transformers` does when it
/// loads a folder.
void mark_named_specials(const TokenizerSettings& settings, const Vocabulary& vocabulary,
                         std::vector<AddedToken>& added) {
  for (const auto& name : {settings.bos, settings.eos, settings.cls, settings.sep}) {
    const std::optional<std::int32_t> id = name ? vocabulary.find(*name) : std::nullopt;
    if (!id || name->empty()) continue;
    const auto same = [&](const AddedToken& token) { return token.id == *id; };
    const auto known = std::find_if(added.begin(), added.end(), same);
    if (known == added.end()) {
      added.push_back({.id = *id, .content = *name, .special = true});
    } else {
      known->special = true;
    }
  }
}

ReadVocabulary read_vocabulary(const json& tokenizer, const TokenizerSettings& settings) {
  VocabularyBuilder builder;
  const json& vocab = tokenizer.at("model").at("vocab");
  if (!vocab.is_object()) throw DataError("model.vocab is not an object");
  for (const auto& [piece, id] : vocab.items()) builder.add(piece, integer_of(id, "model.vocab"));

  ReadVocabulary read;
  std::unordered_set<std::int64_t> seen;
  const auto add = [&](const json& value, std::int64_t id) {
    const std::string content = value.at("content").get<std::string>();
    if (content.empty()) return;
    builder.add_again(content, id);
    if (seen.insert(id).second)
      read.added.push_back(read_added_token(value, static_cast<std::int32_t>(id)));
  };
  for (const auto& [id, value] : settings.added_tokens.items()) {
    add(value, parse_token_id(id));
  }
  if (const auto found = tokenizer.find("added_tokens"); found != tokenizer.end()) {
    for (const json& value : *found) add(value, integer_of(value.at("id"), "added_tokens"));
  }
  read.vocabulary = std::move(builder).finish();
  mark_named_specials(settings, read.vocabulary, read.added);

  read.from_text.assign(read.vocabulary.pieces().size(), false);
  for (const auto& id : vocab) read.from_text[id.get<std::size_t>()] = true;
  for (const AddedToken& token : read.added) {
    if (token.special) read.from_text[static_cast<std::size_t>(token.id)] = false;
  }
  return read;
}

std::vector<std::string> texts_of(const ReadVocabulary& read, bool byte_level) {
  std::vector<std::string> texts;
  texts.reserve(read.from_text.size());
  for (std::size_t id = 0; id < read.from_text.size(); ++id) {
    const std::string& piece = read.vocabulary.pieces()[id];
    if (!read.from_text[id]) {
      texts.emplace_back();
    } else {
      texts.push_back(byte_level ? byte_characters::to_bytes(piece).value_or("") : piece);
    }
  }
  return texts;
}

std::pair<std::string, std::string> merge_sides(const json& merge, std::size_t rank) {
  if (merge.is_array() && merge.size() == 2)
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  const std::string text = merge.is_string() ? merge.get<std::string>() : "";
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
    throw DataError(
        cat("merge ", rank, " ", merge.dump(), ": expected two tokens with one space between"));
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<BpeMerge> read_merges(const json& merges, const Vocabulary& vocabulary,
                                  const std::vector<std::string>& texts) {
  if (!merges.is_array() || merges.size() > kMostMerges) {
    throw DataError(cat("model.merges: expected a list of at most ", kMostMerges, " merges"));
  }
  std::vector<BpeMerge> read;
  read.reserve(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto [left, right] = merge_sides(merges[rank], rank);
    const auto id_of = [&](const std::string& piece) {
      const auto id = vocabulary.find(piece);
      if (!id)
        throw DataError(cat("merge ", rank, " '", left, " ", right, "': no token '", piece, "'"));
      return *id;
    };
    const BpeMerge merge{id_of(left), id_of(right), id_of(left + right)};
    if (!texts[static_cast<std::size_t>(merge.result)].empty()) read.push_back(merge);
  }
  return read;
}

std::optional<std::int32_t> unknown_of(const json& model, const Vocabulary& vocabulary) {
  const auto found = model.find("unk_token");
  if (found == model.end() || found->is_null()) return std::nullopt;
  const auto id = vocabulary.find(found->get<std::string>());
  if (!id) throw DataError(cat("model.unk_token ", found->dump(), " is not in the vocabulary"));
  return id;
}

void refuse(const json& model, const char* key) {
  const auto found = model.find(key);
  const bool absent = found == model.end() || found->is_null() || *found == "" || *found == 0.0;
  if (!absent) throw DataError(cat("model.", key, " ", found->dump(), " is not supported"));
}

/// A field that may be absent or null.
bool flag(const json& model, const char* key) {
  const auto found = model.find(key);
  return found != model.end() && !found->is_null() && found->get<bool>();
}

std::unique_ptr<const PieceModel> read_bpe(const json& model, const ReadVocabulary& read,
                                           bool byte_level) {
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    refuse(model, key);
  BpeOptions options{.byte_level = byte_level,
                     .byte_fallback = flag(model, "byte_fallback"),
                     .fuse_unknown = flag(model, "fuse_unk"),
                     .ignore_merges = flag(model, "ignore_merges"),
                     .unknown = unknown_of(model, read.vocabulary)};
  std::vector<std::string> texts = texts_of(read, byte_level);
  const std::vector<BpeMerge> merges = read_merges(model.at("merges"), read.vocabulary, texts);
  return std::make_unique<Bpe>(options, std::move(texts), merges);
}

std::unique_ptr<const PieceModel> read_wordpiece(const json& model, const ReadVocabulary& read) {
  const auto unknown = unknown_of(model, read.vocabulary);
  if (!unknown) throw DataError("model.unk_token is missing, WordPiece needs it");
  constexpr std::int64_t kLongestWord = 1000;
  const std::int64_t longest =
      integer_of(model.value("max_input_chars_per_word", json(100)), "max_input_chars_per_word");
  if (longest < 0 || longest > kLongestWord) {
    throw DataError(
        cat("model.max_input_chars_per_word is ", longest, ", expected 0 to ", kLongestWord));
  }
  WordPieceOptions options{*unknown, model.value("continuing_subword_prefix", "##"),
                           static_cast<std::size_t>(longest)};
  return std::make_unique<WordPiece>(std::move(options), texts_of(read, false));
}

PipelineParts read_parts(const json& tokenizer, const TokenizerSettings& settings) {
  const auto part = [&](const char* key) { return tokenizer.value(key, json()); };
  const json& model = tokenizer.at("model");
  if (!model.is_object()) throw DataError("model is not an object");
  const std::string type = model.value("type", model.contains("merges") ? "BPE" : "WordPiece");
  if (type != "BPE" && type != "WordPiece") {
    throw DataError(cat("model type '", type, "' is not supported; expected BPE or WordPiece"));
  }
  PipelineParts parts;
  ReadVocabulary read = read_vocabulary(tokenizer, settings);
  ReadPreTokenizer pretokenizer = read_pretokenizer(part("pre_tokenizer"));
  parts.model =
      type == "BPE" ? read_bpe(model, read, pretokenizer.byte_level) : read_wordpiece(model, read);
  parts.normalizer = read_normalizer(part("normalizer"));
  parts.pretokenizer = std::move(pretokenizer.pretokenizer);
  parts.decoder = read_decoder(part("decoder"));
  const std::optional<std::string> bos = settings.bos ? settings.bos : settings.cls;
  const std::optional<std::string> eos = settings.eos ? settings.eos : settings.sep;
  if (bos) parts.bos = read.vocabulary.find(*bos);
  if (eos) parts.eos = read.vocabulary.find(*eos);
  parts.adds_bos =
      parts.bos && settings.add_bos.value_or(post_processor_adds(part("post_processor"), *bos));
  parts.vocabulary = std::move(read.vocabulary);
  parts.added = std::move(read.added);
  return parts;
}

}  // namespace

std::unique_ptr<Tokenizer> pipeline_from_json(const json& tokenizer,
                                              const TokenizerSettings& settings,
                                              TokenizerFiles files, const std::string& source) {
  try {
    PipelineParts parts = read_parts(tokenizer, settings);
    parts.files = std::move(files);
    return make_pipeline_tokenizer(std::move(parts));
  } catch (const DataError& error) {
    throw DataError(cat(source, ": ", error.what()));
  } catch (const json::exception& error) {
    throw DataError(cat(source, ": ", error.what()));
  }
}

}  // namespace plumb
