#pragma once
#include <ATen/core/Tensor.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/kernels.hpp"
#include "model/checkpoint.hpp"
#include "model/model_config.hpp"
#include "tensor/ragged.hpp"

namespace plumb {

/// Optional by-products of a log-prob pass, all [R] float32.
struct TokenStatsRequest {
  bool entropy = false;           // entropy of the next-token distribution, nats
  bool square_logsum = false;     // log sum_v p_v^2
  bool mean_logit = false;        // mean of the logits over the vocabulary
  bool is_top = false;            // whether the target has the largest logit
  at::Tensor reference_hidden{};  // [R, H] hidden rows of a reference model: asks for KL(reference
                                  // || policy)
  const class Decoder* reference = nullptr;
};
struct TokenStats {
  at::Tensor logprobs;  // [R] nats, differentiable
  at::Tensor kl;  // [R] KL(reference || policy) over the full vocabulary, nats, differentiable;
                  // undefined if not asked
  at::Tensor entropy;        // [R], no gradient
  at::Tensor square_logsum;  // [R], no gradient
  at::Tensor mean_logit;     // [R], no gradient
  at::Tensor is_top;         // [R] 1 or 0, no gradient
};

struct NamedParameter {
  std::string name;     // Hugging Face name
  at::Tensor value;     // float32 master weight, changed in place by the optimizer
  at::Tensor gradient;  // float32, same shape; backward passes add into it
};

/// A decoder LM of the Llama family: one set of weights for training, scoring and cached decoding.
class Decoder {
 public:
  /// Takes the weights over. `trainable` allocates gradients and keeps float32 master weights.
  Decoder(const ModelConfig& config, const TensorMap& weights, kernels::Precision precision,
          bool trainable, at::Device device = at::kCPU);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  const ModelConfig& config() const;
  kernels::Precision precision() const;
  at::Device device() const;

  /// Hidden states after the final norm. Records the backward pass when trainable and grad mode is
  /// on.
  /// @return [N, H] in the compute dtype
  at::Tensor hidden(const RaggedBatch& batch) const;
  /// Log-probs of `rows.targets` from hidden rows, in chunks that never hold [N, V]; float32
  /// log-softmax.
  TokenStats token_stats(const at::Tensor& hidden, const TokenRows& rows,
                         const TokenStatsRequest& request = {}) const;
  /// hidden() and token_stats() in one call.
  TokenStats token_stats(const RaggedBatch& batch, const TokenRows& rows,
                         const TokenStatsRequest& request = {}) const;
  /// Full logits of given hidden rows. @param hidden [R, H] @return [R, V] float32
  at::Tensor logits(const at::Tensor& hidden_rows) const;

  /// Master weights and their gradients, in a fixed order. Empty unless trainable.
  std::vector<NamedParameter>& parameters();
  void zero_gradients();
  /// Must follow every change of parameters(): refreshes the compute copies.
  void refresh();
  /// Current weights by name, float32 (shares memory with the master weights when trainable).
  TensorMap weights() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumb
