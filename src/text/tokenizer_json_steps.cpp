#include "text/tokenizer_json_steps.hpp"

#include "core/error.hpp"
#include "text/tokenizer_json.hpp"

namespace plumb {
namespace {

using nlohmann::json;

std::string type_of(const json& value) { return value.at("type").get<std::string>(); }

[[noreturn]] void unsupported(const char* part, const std::string& type) {
  throw DataError(cat(part, " '", type, "' is not supported"));
}

/// Calls `read` for the value itself, or for every member of a Sequence.
template <class Read>
void each_step(const json& value, const char* members, Read read) {
  if (value.is_null()) return;
  if (type_of(value) != "Sequence") return read(value);
  for (const json& step : value.at(members)) each_step(step, members, read);
}

SplitPattern pattern_of(const json& value) {
  if (value.is_string()) return SplitPattern::literal(value.get<std::string>());
  if (value.contains("String")) return SplitPattern::literal(value.at("String").get<std::string>());
  return SplitPattern::regex(value.at("Regex").get<std::string>());
}

cutting::Behavior behavior_of(const json& value, const char* key) {
  const std::string name = value.value(key, "Isolated");
  if (name == "Removed") return cutting::Behavior::removed;
  if (name == "Isolated") return cutting::Behavior::isolated;
  if (name == "MergedWithPrevious") return cutting::Behavior::merged_with_previous;
  if (name == "MergedWithNext") return cutting::Behavior::merged_with_next;
  if (name == "Contiguous") return cutting::Behavior::contiguous;
  unsupported("split behavior", name);
}

cutting::Prefix prefix_of(const json& value) {
  if (!value.contains("prepend_scheme")) {
    return value.value("add_prefix_space", true) ? cutting::Prefix::always : cutting::Prefix::never;
  }
  const std::string name = value.at("prepend_scheme").get<std::string>();
  if (name == "always") return cutting::Prefix::always;
  if (name == "first") return cutting::Prefix::first;
  if (name == "never") return cutting::Prefix::never;
  unsupported("prepend_scheme", name);
}

/// A text that steps put in, once or often: short, so that a file cannot blow a document up.
std::string inserted_text(const json& value, const char* key) {
  constexpr std::size_t kLongest = 64;
  const std::string text = value.at(key).get<std::string>();
  if (text.size() > kLongest)
    throw DataError(cat(key, " of ", text.size(), " bytes: longer than ", kLongest));
  return text;
}

std::string replacement_of(const json& value) {
  const std::string replacement = inserted_text(value, "replacement");
  if (replacement.empty()) throw DataError("Metaspace: the replacement is empty");
  return replacement;
}

normalizing::Step normalizer_step(const json& value) {
  const std::string type = type_of(value);
  if (type == "NFC") return normalizing::ToForm{unicode::Form::nfc};
  if (type == "NFD") return normalizing::ToForm{unicode::Form::nfd};
  if (type == "NFKC") return normalizing::ToForm{unicode::Form::nfkc};
  if (type == "NFKD") return normalizing::ToForm{unicode::Form::nfkd};
  if (type == "Lowercase") return normalizing::Lowercase{};
  if (type == "StripAccents") return normalizing::StripAccents{};
  if (type == "Strip") {
    return normalizing::StripSpace{value.value("strip_left", true),
                                   value.value("strip_right", true)};
  }
  if (type == "Prepend") return normalizing::Prepend{inserted_text(value, "prepend")};
  if (type == "Replace") {
    return normalizing::Replace{
        std::make_shared<const SplitPattern>(pattern_of(value.at("pattern"))),
        inserted_text(value, "content")};
  }
  if (type == "BertNormalizer") {
    const bool lowercase = value.value("lowercase", true);
    const auto accents = value.find("strip_accents");
    const bool given = accents != value.end() && !accents->is_null();
    return normalizing::Bert{value.value("clean_text", true),
                             value.value("handle_chinese_chars", true),
                             given ? accents->get<bool>() : lowercase, lowercase};
  }
  unsupported("normalizer", type);
}

void append_byte_level(const json& value, std::vector<cutting::Step>& steps) {
  if (value.value("add_prefix_space", true)) steps.emplace_back(cutting::SpacePrefix{});
  if (value.value("use_regex", true)) steps.emplace_back(cutting::Gpt2{});
}

cutting::Step split_step(const json& value) {
  const json& pattern = value.at("pattern");
  const cutting::Behavior behavior = behavior_of(value, "behavior");
  const bool invert = value.value("invert", false);
  const bool is_gpt2 = pattern.contains("Regex") && pattern.at("Regex") == cutting::kGpt2Pattern;
  if (is_gpt2 && behavior == cutting::Behavior::isolated) return cutting::Gpt2{};
  return cutting::Split{pattern_of(pattern), behavior, invert};
}

cutting::Step cutting_step(const json& value) {
  const std::string type = type_of(value);
  if (type == "Split") return split_step(value);
  if (type == "Digits") return cutting::Digits{value.value("individual_digits", false)};
  if (type == "Whitespace") return cutting::Words{};
  if (type == "WhitespaceSplit") return cutting::SpaceSplit{};
  if (type == "BertPreTokenizer") return cutting::Bert{};
  if (type == "Punctuation") return cutting::Punctuation{behavior_of(value, "behavior")};
  if (type == "Metaspace") {
    return cutting::Metaspace{replacement_of(value), prefix_of(value), value.value("split", true)};
  }
  unsupported("pre_tokenizer", type);
}

decoding::Step decoder_step(const json& value) {
  const std::string type = type_of(value);
  if (type == "ByteLevel") return decoding::ByteLevel{};
  if (type == "ByteFallback") return decoding::ByteFallback{};
  if (type == "Fuse") return decoding::Fuse{};
  if (type == "Replace") {
    const json& pattern = value.at("pattern");
    const std::string from =
        pattern.is_string() ? pattern.get<std::string>() : pattern.at("String").get<std::string>();
    if (from.empty()) throw DataError("decoder Replace: the pattern is empty");
    return decoding::Replace{from, inserted_text(value, "content")};
  }
  if (type == "Strip") {
    const std::int64_t start = integer_of(value.at("start"), "decoder Strip");
    const std::int64_t stop = integer_of(value.at("stop"), "decoder Strip");
    const std::string character = inserted_text(value, "content");
    if (character.empty() || start < 0 || stop < 0)
      throw DataError("decoder Strip: expected a text and two counts");
    return decoding::Strip{character, static_cast<std::size_t>(start),
                           static_cast<std::size_t>(stop)};
  }
  if (type == "WordPiece") {
    return decoding::WordPiece{value.value("prefix", "##"), value.value("cleanup", true)};
  }
  if (type == "Metaspace") {
    return decoding::Metaspace{replacement_of(value), prefix_of(value) != cutting::Prefix::never};
  }
  unsupported("decoder", type);
}

}  // namespace

Normalizer read_normalizer(const json& value) {
  std::vector<normalizing::Step> steps;
  each_step(value, "normalizers",
            [&](const json& step) { steps.push_back(normalizer_step(step)); });
  return Normalizer(std::move(steps));
}

ReadPreTokenizer read_pretokenizer(const json& value) {
  std::vector<cutting::Step> steps;
  bool byte_level = false;
  each_step(value, "pretokenizers", [&](const json& step) {
    if (byte_level) throw DataError("pre_tokenizer: a step after ByteLevel is not supported");
    if (type_of(step) == "ByteLevel") {
      append_byte_level(step, steps);
      byte_level = true;
    } else {
      steps.push_back(cutting_step(step));
    }
  });
  return {PreTokenizer(std::move(steps)), byte_level};
}

TokenDecoder read_decoder(const json& value) {
  std::vector<decoding::Step> steps;
  each_step(value, "decoders", [&](const json& step) { steps.push_back(decoder_step(step)); });
  return TokenDecoder(std::move(steps));
}

bool post_processor_adds(const json& value, const std::string& bos) {
  bool adds = false;
  each_step(value, "processors", [&](const json& step) {
    const std::string type = type_of(step);
    if (type == "TemplateProcessing") {
      const json& single = step.at("single");
      adds = adds || (!single.empty() && single.at(0).contains("SpecialToken") &&
                      single.at(0).at("SpecialToken").at("id") == bos);
    } else if (type == "BertProcessing" || type == "RobertaProcessing") {
      adds = adds || step.at("cls").at(0) == bos;
    }
  });
  return adds;
}

}  // namespace plumb
