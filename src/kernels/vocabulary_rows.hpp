#pragma once
#include <cstdint>

/// Loops over one row of logits, free of torch. Long sums are float32 within blocks and float64
/// across them.
namespace plumb::kernels::rows {

using Half = std::uint16_t;

/// log sum exp(z); NaN if any z is NaN.
double log_sum_exp(const float* z, std::int64_t size);
/// Entropy of softmax(z), nats.
double entropy(const float* z, double logsumexp, std::int64_t size);
/// log sum p^2.
double log_sum_squares(const float* z, double logsumexp, std::int64_t size);
/// sum q (log q - log p).
double kl_divergence(const float* q, float q_logsumexp, const float* p, float p_logsumexp,
                     std::int64_t size);

/// dlogprob * (onehot(target) - p) + dkl * (p - q)
struct LogitGradient {
  const float* logits;
  float logsumexp;
  std::int64_t target;
  float dlogprob, dkl;
  const float* q_logits;  // null: dkl is not used
  float q_logsumexp;
  std::int64_t size;
};
void logit_gradient(const LogitGradient& task, float* gradient);
void logit_gradient(const LogitGradient& task, Half* gradient);

}  // namespace plumb::kernels::rows
