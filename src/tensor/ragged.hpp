#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

/// Shape key used in all tensor comments:
///   B pairs, S segments, N tokens of a batch, R rows of which a log-prob is taken, T tokens of one
///   sequence, V vocabulary, H hidden size, D head size, K samples of a prompt.
namespace plumb {

/// Token sequences laid end to end, without padding. A segment may continue a prefix segment (a
/// shared prompt): it then attends to all of the prefix and to itself causally, and its positions
/// start where the prefix ends.
struct RaggedBatch {
  at::Tensor ids;                     // [N] int64
  at::Tensor positions;               // [N] int64, 0-based position in the whole sequence
  std::vector<std::int64_t> offsets;  // [S+1] segment s holds tokens offsets[s] .. offsets[s+1]-1
  std::vector<std::int64_t>
      prefix;  // [S] segment continued by segment s (always an earlier one without prefix), or -1

  std::int64_t segments() const { return static_cast<std::int64_t>(prefix.size()); }
  std::int64_t tokens() const { return offsets.back(); }
  std::int64_t length(std::int64_t s) const { return offsets[s + 1] - offsets[s]; }
};

/// Rows of a batch's hidden states that predict given tokens.
struct TokenRows {
  at::Tensor rows;                    // [R] int64 indices into the N rows
  at::Tensor targets;                 // [R] int64 token ids
  std::vector<std::int64_t> offsets;  // [sequences+1] rows of each added sequence
};

/// Collects segments, then makes the tensors once.
class RaggedBuilder {
 public:
  /// Adds a segment; returns its index. `prefix` is the index of an earlier segment that has no
  /// prefix itself, or -1.
  std::int64_t add(std::span<const std::int32_t> ids, std::int64_t prefix = -1);
  /// Asks for the log-probs of all tokens of a segment that has a prefix (its first token is
  /// predicted by the prefix's last row), or of all tokens but the first of a segment without one.
  void want_logprobs(std::int64_t segment);
  /// Counts a sequence of no tokens among the rows, where one is missing.
  void want_nothing() { row_offsets_.push_back(static_cast<std::int64_t>(rows_.size())); }
  RaggedBatch batch(at::Device device = at::kCPU) const;
  TokenRows rows(at::Device device = at::kCPU) const;
  std::int64_t tokens() const { return static_cast<std::int64_t>(ids_.size()); }

 private:
  std::vector<std::int64_t> ids_, positions_, offsets_{0}, prefix_, rows_, targets_,
      row_offsets_{0};
};

/// Sums of consecutive groups: out[s] = sum of values[offsets[s]] .. values[offsets[s+1]-1], 0 for
/// an empty group.
/// @param values [R] float; differentiable. @param offsets [S+1] ascending, last = R. @return [S]
/// in the dtype of values.
at::Tensor segment_sum(const at::Tensor& values, const std::vector<std::int64_t>& offsets);

}  // namespace plumb
