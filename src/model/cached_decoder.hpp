#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/decoder.hpp"

namespace plumb {

/// Incremental decoding with a key/value cache. A prompt is run once and shared by any number of
/// rows that continue it. Log-probs of its logits equal Decoder::token_stats to 1e-4 (float32) or
/// 2e-2 (bfloat16). Not thread-safe; no gradients.
class CachedDecoder {
 public:
  using PrefixId = std::int32_t;
  using RowId = std::int32_t;

  explicit CachedDecoder(const Decoder& model);
  ~CachedDecoder();

  /// Runs prompts (each at least one token). @return one handle a prompt
  /// @param logits receives [P, V] float32, the distribution after each prompt's last token
  std::vector<PrefixId> prefill(std::span<const std::vector<std::int32_t>> prompts,
                                at::Tensor& logits);
  /// Opens a continuation of a prompt; the prompt's memory lives until all its rows are closed and
  /// it is released.
  RowId open_row(PrefixId prefix);
  void close_row(RowId row);
  void release(PrefixId prefix);

  /// Appends one token to each row. @param rows distinct open rows @param tokens one id a row
  /// @return [rows, V] float32 logits of the next token; valid until the next call
  at::Tensor step(std::span<const RowId> rows, std::span<const std::int32_t> tokens);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumb
