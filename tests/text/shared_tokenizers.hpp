#pragma once
#include "support/files.hpp"
#include "support/gguf_vocabulary.hpp"
#include "text/tokenizer.hpp"

#include "support/catch.hpp"

/// The tokenizers of the two fetched models, made once per test binary.
namespace plumb::test {

/// False, with a warning, where the models are not fetched.
inline bool have_models() {
  for (const char* name : {"smollm2-135m-instruct", "all-minilm-l6-v2"}) {
    if (std::filesystem::exists(model_path(name))) continue;
    WARN("skipped: " << model_path(name) << " is not there (scripts/setup fetches it)");
    return false;
  }
  return true;
}

inline const GgufMetadata& smollm2() {
  static const GgufMetadata metadata = smollm2_metadata();
  return metadata;
}

inline const Tokenizer& smollm2_tokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(smollm2().vocabulary);
  return *tokenizer;
}

inline const Tokenizer& minilm_tokenizer() {
  static const std::unique_ptr<Tokenizer> tokenizer =
      load_tokenizer(model_path("all-minilm-l6-v2"));
  return *tokenizer;
}

/// Ids with special tokens recognised everywhere.
inline std::vector<std::int32_t> encode_with_specials(const Tokenizer& tokenizer,
                                                      std::string_view text) {
  return tokenizer.encode_template(text, {});
}

}  // namespace plumb::test
