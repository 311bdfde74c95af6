#include <ATen/TensorOperators.h>

#include "kernels/vocabulary.hpp"

namespace plumb::kernels::portable {

LogitStatistics logit_statistics(const at::Tensor& logits, const at::Tensor& targets, bool entropy,
                                 bool square_logsum) {
  LogitStatistics stats;
  stats.logsumexp = logits.logsumexp(1);
  stats.logprobs = logits.gather(1, targets.unsqueeze(1)).squeeze(1) - stats.logsumexp;
  if (entropy) {
    const at::Tensor logp = logits - stats.logsumexp.unsqueeze(1);
    stats.entropy = -(logp.exp() * logp).sum(1);
  }
  if (square_logsum) stats.square_logsum = (logits * 2).logsumexp(1) - stats.logsumexp * 2;
  return stats;
}

at::Tensor kl_divergence(const at::Tensor& q_logits, const at::Tensor& q_logsumexp,
                         const at::Tensor& p_logits, const at::Tensor& p_logsumexp) {
  const at::Tensor logq = q_logits - q_logsumexp.unsqueeze(1);
  return (logq.exp() * (logq - (p_logits - p_logsumexp.unsqueeze(1)))).sum(1);
}

at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& logsumexp,
                          const at::Tensor& targets, const at::Tensor& dlogprob,
                          const at::Tensor& dkl, const at::Tensor& q_logits,
                          const at::Tensor& q_logsumexp, at::ScalarType output) {
  const at::Tensor p = (logits - logsumexp.unsqueeze(1)).exp();
  at::Tensor gradient = p * -dlogprob.unsqueeze(1);
  gradient.scatter_add_(1, targets.unsqueeze(1), dlogprob.unsqueeze(1));
  if (dkl.defined()) {
    gradient += dkl.unsqueeze(1) * (p - (q_logits - q_logsumexp.unsqueeze(1)).exp());
  }
  return gradient.to(output);
}

}  // namespace plumb::kernels::portable
