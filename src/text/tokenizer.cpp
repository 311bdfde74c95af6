#include "text/tokenizer.hpp"

#include "core/error.hpp"
#include "text/sentencepiece.hpp"
#include "text/tokenizer_gguf.hpp"
#include "text/tokenizer_pipeline.hpp"

namespace plumb {
namespace {

using nlohmann::json;

TokenizerSettings settings_of(const TokenizerFiles& files, const std::filesystem::path& folder) {
  const auto read = [&](const char* name) {
    return files.has(name) ? parse_json(files[name], (folder / name).string()) : json::object();
  };
  try {
    return read_settings(read("tokenizer_config.json"), read("special_tokens_map.json"));
  } catch (const json::exception& error) {
    throw DataError(cat((folder / "tokenizer_config.json").string(), ": ", error.what()));
  }
}

/// tokenizer.json for a folder that has only BERT's vocab.txt: one token a line.
json wordpiece_from_vocab_txt(std::string_view lines, const TokenizerSettings& settings,
                              const std::string& file) try {
  GgufVocabulary vocabulary;
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    std::string_view line = lines.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    vocabulary.tokens.emplace_back(line);
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  gguf::check(vocabulary);
  gguf::name_wordpiece_marks(vocabulary);
  json tokenizer = gguf::wordpiece_json(vocabulary);
  tokenizer["normalizer"]["lowercase"] = settings.lowercase;
  return tokenizer;
} catch (const DataError& error) {
  throw DataError(cat(file, ": ", error.what()));
}

bool is_unigram(const json& tokenizer) {
  const auto model = tokenizer.find("model");
  return model != tokenizer.end() && model->is_object() &&
         model->value("type", json()) == "Unigram";
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  TokenizerFiles files = TokenizerFiles::of_folder(folder);
  TokenizerSettings settings = settings_of(files, folder);
  const bool has_model = files.has("tokenizer.model");
  if (files.has("tokenizer.json") && !(has_model && settings.original_file == "tokenizer.model")) {
    const std::string file = (folder / "tokenizer.json").string();
    const json tokenizer = parse_json(files["tokenizer.json"], file);
    if (!is_unigram(tokenizer) || !has_model) {
      return pipeline_from_json(tokenizer, settings, std::move(files), file);
    }
  }
  if (has_model) {
    const std::string file = (folder / "tokenizer.model").string();
    return sentencepiece_from_files(std::move(files), settings, file);
  }
  if (!files.has("vocab.txt")) {
    throw DataError(cat(folder.string(),
                        ": no tokenizer; expected tokenizer.json, tokenizer.model or vocab.txt"));
  }
  const std::string file = (folder / "vocab.txt").string();
  if (!settings.cls) settings.cls = "[CLS]";
  if (!settings.sep) settings.sep = "[SEP]";
  const json tokenizer = wordpiece_from_vocab_txt(files["vocab.txt"], settings, file);
  return pipeline_from_json(tokenizer, settings, std::move(files), file);
}

std::unique_ptr<Tokenizer> make_tokenizer(const GgufVocabulary& vocabulary) {
  gguf::check(vocabulary);
  if (vocabulary.model == "llama") return sentencepiece_from_gguf(vocabulary);
  json tokenizer, config;
  if (vocabulary.model == "gpt2") {
    tokenizer = gguf::byte_level_json(vocabulary);
    config = gguf::config_json(vocabulary);
  } else if (vocabulary.model == "bert") {
    const GgufVocabulary restored = gguf::restore_wordpieces(vocabulary);
    tokenizer = gguf::wordpiece_json(restored);
    config = gguf::wordpiece_config_json(restored);
  } else {
    throw DataError(cat("tokenizer.ggml.model '", vocabulary.model,
                        "' is not supported; expected gpt2, llama or bert"));
  }
  TokenizerFiles files;
  files.set("tokenizer.json", tokenizer.dump());
  files.set("tokenizer_config.json", config.dump(2) + "\n");
  return pipeline_from_json(tokenizer, read_settings(config, json::object()), std::move(files),
                            "GGUF vocabulary");
}

std::vector<std::int32_t> encode_for_encoder(const Tokenizer& tokenizer, std::string_view text,
                                             std::size_t max_tokens, bool keep_end) {
  const std::size_t around = (tokenizer.bos() ? 1 : 0) + (tokenizer.eos() ? 1 : 0);
  if (max_tokens < around) {
    throw UsageError(
        cat("an encoder's input needs at least ", around, " tokens, the limit is ", max_tokens));
  }
  std::vector<std::int32_t> ids = tokenizer.encode(text);
  const std::size_t room = max_tokens - around;
  if (ids.size() > room) {
    const auto excess = static_cast<std::ptrdiff_t>(ids.size() - room);
    if (keep_end) {
      ids.erase(ids.begin(), ids.begin() + excess);
    } else {
      ids.erase(ids.end() - excess, ids.end());
    }
  }
  if (tokenizer.bos()) ids.insert(ids.begin(), *tokenizer.bos());
  if (tokenizer.eos()) ids.push_back(*tokenizer.eos());
  return ids;
}

}  // namespace plumb
