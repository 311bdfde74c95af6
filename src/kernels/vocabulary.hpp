#pragma once
#include <ATen/core/Tensor.h>

/// Reductions over the vocabulary, one row of logits at a time: vectorised on the CPU, at::
/// operations elsewhere.
namespace plumb::kernels {

/// What a log-prob pass wants to know about rows of logits; every field [C] float32, undefined
/// where not asked for.
struct LogitStatistics {
  at::Tensor logsumexp;      // log sum_v exp(z_v)
  at::Tensor logprobs;       // z_target - logsumexp
  at::Tensor entropy;        // nats
  at::Tensor square_logsum;  // log sum_v p_v^2
};

/// @param logits [C, V] float32   @param targets [C] int64
LogitStatistics logit_statistics(const at::Tensor& logits, const at::Tensor& targets, bool entropy,
                                 bool square_logsum);

/// KL(q || p) of each row over the whole vocabulary, nats, q and p the softmax of the two logits.
/// @param q_logits, p_logits [C, V] float32   @param q_logsumexp, p_logsumexp [C]   @return [C]
at::Tensor kl_divergence(const at::Tensor& q_logits, const at::Tensor& q_logsumexp,
                         const at::Tensor& p_logits, const at::Tensor& p_logsumexp);

/// Gradient of the logits: dlogprob * (onehot(target) - p) + dkl * (p - q), in `output` type.
/// @param dlogprob [C] float32   @param dkl [C] float32 or undefined   @param q_logits, q_logsumexp
/// needed with dkl
/// @return [C, V]
at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& logsumexp,
                          const at::Tensor& targets, const at::Tensor& dlogprob,
                          const at::Tensor& dkl, const at::Tensor& q_logits,
                          const at::Tensor& q_logsumexp, at::ScalarType output);

namespace portable {
LogitStatistics logit_statistics(const at::Tensor& logits, const at::Tensor& targets, bool entropy,
                                 bool square_logsum);
at::Tensor kl_divergence(const at::Tensor& q_logits, const at::Tensor& q_logsumexp,
                         const at::Tensor& p_logits, const at::Tensor& p_logsumexp);
at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& logsumexp,
                          const at::Tensor& targets, const at::Tensor& dlogprob,
                          const at::Tensor& dkl, const at::Tensor& q_logits,
                          const at::Tensor& q_logsumexp, at::ScalarType output);
}  // namespace portable
}  // namespace plumb::kernels
