#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rollout/request.hpp"

namespace plumb {

/// Next-token logits of some rows, [rows, V] float32 on the CPU; valid until the next call of the
/// model that made them.
struct NextLogits {
  at::Tensor sampling;  // what tokens are drawn from
  at::Tensor policy;    // the policy itself; the same tensor unless decoding is guided
};

/// What the engine needs of a model: prompts run once, rows that continue them, one token a row and
/// step.
class TokenModel {
 public:
  using PrefixId = std::int32_t;
  using RowId = std::int32_t;

  virtual ~TokenModel() = default;
  virtual std::int64_t vocab_size() const = 0;
  /// Throws DataError naming the request ("request 3: ...") if its prompt cannot be continued by
  /// `max_new_tokens`.
  virtual void check(const RolloutRequest& request, std::int64_t max_new_tokens,
                     const std::string& name) const = 0;
  /// Runs the prompts. @param logits receives one row a request
  virtual std::vector<PrefixId> prefill(std::span<const RolloutRequest* const> requests,
                                        NextLogits& logits) = 0;
  virtual RowId open_row(PrefixId prefix) = 0;
  virtual void close_row(RowId row) = 0;
  /// The prompt's memory lives until its last row is closed.
  virtual void release(PrefixId prefix) = 0;
  /// Appends one token to each of some distinct open rows.
  virtual NextLogits step(std::span<const RowId> rows, std::span<const std::int32_t> tokens) = 0;
};

}  // namespace plumb
