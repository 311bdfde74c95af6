#include "text/tokenizer_gguf.hpp"

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "text/pretokenizer.hpp"
#include "text/tokenizer_vocabulary.hpp"

namespace plumb::gguf {
namespace {

using nlohmann::json;

constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// How the models that share a value of tokenizer.ggml.pre cut text.
struct Family {
  std::string_view pre;
  std::string_view pattern;
  bool digits;         // every digit is a piece of its own
  bool nfc;            // text is brought to normal form C first
  bool ignore_merges;  // a piece that is a token needs no merges
};

constexpr std::array<Family, 14> kFamilies{{
    {"smollm", cutting::kGpt2Pattern, true, false, false},
    {"starcoder", cutting::kGpt2Pattern, true, false, false},
    {"refact", cutting::kGpt2Pattern, true, false, false},
    {"command-r", cutting::kGpt2Pattern, true, false, false},
    {"gpt-2", cutting::kGpt2Pattern, false, false, false},
    {"default", cutting::kGpt2Pattern, false, false, false},
    {"", cutting::kGpt2Pattern, false, false, false},
    {"phi-2", cutting::kGpt2Pattern, false, false, false},
    {"olmo", cutting::kGpt2Pattern, false, false, false},
    {"qwen2", kQwen2Pattern, false, true, false},
    {"deepseek-r1-qwen", kQwen2Pattern, false, true, false},
    {"llama-bpe", kLlama3Pattern, false, false, true},
    {"llama3", kLlama3Pattern, false, false, true},
    {"llama-v3", kLlama3Pattern, false, false, true},
}};

const Family& family_of(const GgufVocabulary& vocabulary) {
  const auto found = std::find_if(kFamilies.begin(), kFamilies.end(), [&](const Family& family) {
    return family.pre == vocabulary.pre;
  });
  if (found != kFamilies.end()) return *found;
  std::vector<std::string> names;
  for (const Family& family : kFamilies) {
    if (!family.pre.empty()) names.emplace_back(family.pre);
  }
  throw DataError(cat("tokenizer.ggml.pre '", vocabulary.pre,
                      "' is not supported; expected one of ", join(names, ", ")));
}

json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json pretokenizer_json(const Family& family) {
  if (family.digits) {
    const json digits{{"type", "Digits"}, {"individual_digits", true}};
    return {{"type", "Sequence"}, {"pretokenizers", {digits, byte_level(true)}}};
  }
  if (family.pattern == cutting::kGpt2Pattern) return byte_level(true);
  const json split{{"type", "Split"},
                   {"pattern", {{"Regex", family.pattern}}},
                   {"behavior", "Isolated"},
                   {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", {split, byte_level(false)}}};
}

std::int32_t type_of(const GgufVocabulary& vocabulary, std::size_t id) {
  return vocabulary.token_types.empty() ? kNormal : vocabulary.token_types[id];
}

json token_of(const GgufVocabulary& vocabulary, std::optional<std::int32_t> id) {
  return id ? json(vocabulary.tokens[static_cast<std::size_t>(*id)]) : json();
}

}  // namespace

void check(const GgufVocabulary& vocabulary) {
  const std::size_t size = vocabulary.tokens.size();
  if (size == 0 || size > Vocabulary::kMostTokens) {
    throw DataError(
        cat("tokenizer.ggml.tokens: ", size, " tokens, expected 1 to ", Vocabulary::kMostTokens));
  }
  const auto check_length = [&](const char* name, std::size_t length) {
    if (length != 0 && length != size) {
      throw DataError(cat("tokenizer.ggml.", name, ": ", length, " values for ", size, " tokens"));
    }
  };
  check_length("scores", vocabulary.scores.size());
  check_length("token_type", vocabulary.token_types.size());
  const auto check_id = [&](const char* name, std::optional<std::int32_t> id) {
    if (id && (*id < 0 || static_cast<std::size_t>(*id) >= size)) {
      throw DataError(
          cat("tokenizer.ggml.", name, "_token_id is ", *id, ", but ids run from 0 to ", size - 1));
    }
  };
  check_id("bos", vocabulary.bos);
  check_id("eos", vocabulary.eos);
  check_id("unknown", vocabulary.unknown);
  check_id("padding", vocabulary.pad);
  for (std::size_t id = 0; id < size; ++id) {
    if (!is_valid_utf8(vocabulary.tokens[id]))
      throw DataError(cat("tokenizer.ggml.tokens: token ", id, " is not UTF-8"));
  }
  for (std::size_t rank = 0; rank < vocabulary.merges.size(); ++rank) {
    if (!is_valid_utf8(vocabulary.merges[rank]))
      throw DataError(cat("tokenizer.ggml.merges: merge ", rank, " is not UTF-8"));
  }
}

json added_tokens_json(const GgufVocabulary& vocabulary) {
  json added = json::array();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::int32_t type = type_of(vocabulary, id);
    const bool special = type == kControl || type == kUnknown;
    if ((!special && type != kUserDefined) || vocabulary.tokens[id].empty()) continue;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
  }
  return added;
}

json post_processor_json(const std::optional<std::string>& before,
                         const std::optional<std::string>& after, const json& vocab) {
  if (!before && !after) return nullptr;
  const auto special = [](const std::string& token, int type_id) {
    return json::object({{"SpecialToken", {{"id", token}, {"type_id", type_id}}}});
  };
  const auto sequence = [](const char* name, int type_id) {
    return json::object({{"Sequence", {{"id", name}, {"type_id", type_id}}}});
  };
  json single = json::array();
  json pair = json::array();
  if (before) single.push_back(special(*before, 0));
  single.push_back(sequence("A", 0));
  if (after) single.push_back(special(*after, 0));
  pair = single;
  if (before && !after) pair.push_back(special(*before, 1));
  pair.push_back(sequence("B", 1));
  if (after) pair.push_back(special(*after, 1));
  json tokens = json::object();
  for (const auto& token : {before, after}) {
    if (!token) continue;
    tokens[*token] = {{"id", *token},
                      {"ids", json::array({vocab.at(*token)})},
                      {"tokens", json::array({*token})}};
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", tokens}};
}

json vocab_json(const std::vector<std::string>& tokens) {
  json vocab = json::object();
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const auto [at, fresh] = vocab.emplace(tokens[id], id);
    if (!fresh)
      throw DataError(
          cat("tokenizer.ggml.tokens: '", tokens[id], "' has two ids, ", at->dump(), " and ", id));
  }
  return vocab;
}

json document(json model, json normalizer, json pretokenizer, json post_processor, json decoder,
              json added_tokens) {
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added_tokens)},
          {"normalizer", std::move(normalizer)},
          {"pre_tokenizer", std::move(pretokenizer)},
          {"post_processor", std::move(post_processor)},
          {"decoder", std::move(decoder)},
          {"model", std::move(model)}};
}

json byte_level_json(const GgufVocabulary& vocabulary) {
  const Family& family = family_of(vocabulary);
  json merges = json::array();
  for (const std::string& merge : vocabulary.merges) merges.push_back(merge);
  json model{{"type", "BPE"},
             {"dropout", nullptr},
             {"unk_token", nullptr},
             {"continuing_subword_prefix", nullptr},
             {"end_of_word_suffix", nullptr},
             {"fuse_unk", false},
             {"byte_fallback", false},
             {"ignore_merges", family.ignore_merges},
             {"vocab", vocab_json(vocabulary.tokens)},
             {"merges", std::move(merges)}};
  std::optional<std::string> bos;
  if (vocabulary.add_bos && vocabulary.bos)
    bos = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.bos)];
  json post_processor = post_processor_json(bos, std::nullopt, model.at("vocab"));
  json normalizer = family.nfc ? json::object({{"type", "NFC"}}) : json();
  return document(std::move(model), std::move(normalizer), pretokenizer_json(family),
                  std::move(post_processor), byte_level(true), added_tokens_json(vocabulary));
}

json config_json(const GgufVocabulary& vocabulary) {
  json config{{"tokenizer_class", "PreTrainedTokenizerFast"},
              {"add_bos_token", vocabulary.add_bos},
              {"clean_up_tokenization_spaces", false}};
  const auto set = [&](const char* key, std::optional<std::int32_t> id) {
    if (id) config[key] = token_of(vocabulary, id);
  };
  set("bos_token", vocabulary.bos);
  set("eos_token", vocabulary.eos);
  set("unk_token", vocabulary.unknown);
  set("pad_token", vocabulary.pad);
  return config;
}

}  // namespace plumb::gguf
