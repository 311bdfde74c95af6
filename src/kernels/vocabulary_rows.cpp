#include "kernels/vocabulary_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/vector_clones.hpp"
#include "kernels/vector_math.hpp"

namespace plumb::kernels::rows {
namespace {

constexpr std::int64_t kBlock = 1024;

template <class Term>
[[gnu::always_inline]] inline double blocked_sum(std::int64_t size, const Term& term) {
  double total = 0.0;
  for (std::int64_t begin = 0; begin < size; begin += kBlock) {
    const std::int64_t end = std::min(size, begin + kBlock);
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = begin; i < end; ++i) sum += term(i);
    total += static_cast<double>(sum);
  }
  return total;
}

template <class T>
[[gnu::always_inline]] inline void logit_gradient_row(const LogitGradient& task, T* gradient) {
  const float* z = task.logits;
  const float logsumexp = task.logsumexp, of_p = task.dkl - task.dlogprob;
  if (task.q_logits != nullptr) {
    const float *q = task.q_logits, q_logsumexp = task.q_logsumexp, dkl = task.dkl;
#pragma omp simd
    for (std::int64_t i = 0; i < task.size; ++i) {
      store(gradient + i, of_p * exp_fast(z[i] - logsumexp) - dkl * exp_fast(q[i] - q_logsumexp));
    }
  } else {
#pragma omp simd
    for (std::int64_t i = 0; i < task.size; ++i) {
      store(gradient + i, of_p * exp_fast(z[i] - logsumexp));
    }
  }
  const std::int64_t t = task.target;
  float at_target = of_p * exp_fast(z[t] - logsumexp) + task.dlogprob;
  if (task.q_logits != nullptr)
    at_target -= task.dkl * exp_fast(task.q_logits[t] - task.q_logsumexp);
  store(gradient + t, at_target);
}

}  // namespace

PLUMB_VECTOR_CLONES double log_sum_exp(const float* z, std::int64_t size) {
  float highest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : highest)
  for (std::int64_t i = 0; i < size; ++i) highest = z[i] > highest ? z[i] : highest;
  const float shift = std::isinf(highest) ? 0.0F : highest;
  const double sum = blocked_sum(size, [=](std::int64_t i) { return exp_fast(z[i] - shift); });
  return static_cast<double>(shift) + std::log(sum);
}

PLUMB_VECTOR_CLONES double entropy(const float* z, double logsumexp, std::int64_t size) {
  // Around the rounded log-sum-exp the weights sum to nearly 1; dividing by their sum removes the
  // rounding.
  const auto shift = static_cast<float>(logsumexp);
  const double sum = blocked_sum(size, [=](std::int64_t i) { return exp_fast(z[i] - shift); });
  const double first = blocked_sum(size, [=](std::int64_t i) {
    const float distance = z[i] - shift;
    return exp_fast(distance) * distance;
  });
  return std::log(sum) - first / sum;
}

PLUMB_VECTOR_CLONES double log_sum_squares(const float* z, double logsumexp, std::int64_t size) {
  const auto shift = static_cast<float>(logsumexp);
  return std::log(blocked_sum(size, [=](std::int64_t i) {
    const float p = exp_fast(z[i] - shift);
    return p * p;
  }));
}

PLUMB_VECTOR_CLONES double kl_divergence(const float* q, float q_logsumexp, const float* p,
                                         float p_logsumexp, std::int64_t size) {
  return blocked_sum(size, [=](std::int64_t i) {
    const float logq = q[i] - q_logsumexp;
    return exp_fast(logq) * (logq - (p[i] - p_logsumexp));
  });
}

PLUMB_VECTOR_CLONES void logit_gradient(const LogitGradient& task, float* gradient) {
  logit_gradient_row(task, gradient);
}
PLUMB_VECTOR_CLONES void logit_gradient(const LogitGradient& task, Half* gradient) {
  logit_gradient_row(task, gradient);
}

}  // namespace plumb::kernels::rows
