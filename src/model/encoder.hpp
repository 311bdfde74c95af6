#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.hpp"

namespace plumb {

/// BERT-type sentence encoder with mean pooling (sentence-transformers folder, or a plain BERT
/// folder). Float32.
class Encoder {
 public:
  /// Throws DataError: missing file, unsupported architecture or pooling, missing tensors.
  static std::unique_ptr<Encoder> load(const std::filesystem::path& folder);
  ~Encoder();

  /// Mean of the last hidden states over all tokens ([CLS] and [SEP] included), not normalised.
  /// Texts are cut to max_tokens(); `keep_end` cuts the beginning instead of the end. Order is
  /// kept; texts may be of any length.
  /// @return [texts, H] float32
  at::Tensor embed(std::span<const std::string> texts, bool keep_end = false) const;

  /// The same for token ids, [CLS] and [SEP] included, at least one and at most max_tokens() a
  /// text.
  at::Tensor embed_ids(std::span<const std::vector<std::int32_t>> ids) const;

  std::int64_t dimension() const;
  std::int64_t max_tokens() const;
  /// Whether the folder asks for L2-normalised embeddings (a Normalize module).
  bool normalizes() const;
  /// SHA-256 of the weight file, hexadecimal.
  const std::string& content_hash() const;
  const Tokenizer& tokenizer() const;

 private:
  Encoder();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumb
