#pragma once
#include <cstdint>
#include <filesystem>

namespace plumb {

/// Architecture of a BERT encoder, and what a sentence-transformers folder says about its use.
struct BertConfig {
  std::int64_t vocab_size = 0, hidden_size = 0, num_layers = 0, num_heads = 0;
  std::int64_t intermediate_size = 0, max_positions = 0, token_types = 0;
  double layer_norm_eps = 1e-12;
  std::int64_t max_tokens = 0;  // of one text, [CLS] and [SEP] included
  bool normalizes = false;      // the folder ends in a Normalize module
  std::filesystem::path
      weights_folder;  // where config.json, the tokenizer and model.safetensors lie
};

/// Reads config.json and, where they are, modules.json, the pooling module's config.json and
/// sentence_bert_config.json. A folder without modules.json is a plain BERT: mean pooling, not
/// normalised (as Contriever is used). Throws DataError for another architecture, activation,
/// pooling or module.
BertConfig read_bert_config(const std::filesystem::path& folder);

}  // namespace plumb
