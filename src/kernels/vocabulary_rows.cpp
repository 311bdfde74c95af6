#include "kernels/vocabulary_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/vector_clones.hpp"
#include "kernels/vector_math.hpp"

namespace plumb::kernels::rows {
namespace {

constexpr std::int64_t kPiece = 1024;

template <class Term>
[[gnu::always_inline]] inline double sum_of(std::int64_t size, const Term& term) {
  double total = 0.0;
  for (std::int64_t begin = 0; begin < size; begin += kPiece) {
    const std::int64_t end = std::min(size, begin + kPiece);
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = begin; i < end; ++i) sum += term(i);
    total += static_cast<double>(sum);
  }
  return total;
}

/// Moves the sums from their old highest logit to a new one.
void move_to(double highest, const RunningSums& sums) {
  const double shift = *sums.highest - highest;
  if (*sums.total != 0.0 && shift != 0.0) {
    const double factor = std::exp(shift);
    if (sums.weighted != nullptr) {
      *sums.weighted = factor * (*sums.weighted + shift * *sums.total);
    }
    if (sums.squares != nullptr) *sums.squares *= factor * factor;
    if (sums.cross != nullptr) *sums.cross *= factor;
    *sums.total *= factor;
  }
  *sums.highest = highest;
}

template <class T>
[[gnu::always_inline]] inline void logit_gradient_row(const LogitGradientRow& task, T* gradient) {
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
  if (t < 0 || t >= task.size) return;
  float at_target = of_p * exp_fast(z[t] - logsumexp) + task.dlogprob;
  if (task.q_logits != nullptr) {
    at_target -= task.dkl * exp_fast(task.q_logits[t] - task.q_logsumexp);
  }
  store(gradient + t, at_target);
}

}  // namespace

PLUMB_VECTOR_CLONES void add_logits(const float* z, const float* others, std::int64_t size,
                                    const RunningSums& sums) {
  float block_highest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : block_highest)
  for (std::int64_t i = 0; i < size; ++i) {
    block_highest = z[i] > block_highest ? z[i] : block_highest;
  }
  if (sums.sum != nullptr) *sums.sum += sum_of(size, [=](std::int64_t i) { return z[i]; });
  const double highest = std::max(*sums.highest, static_cast<double>(block_highest));
  if (std::isinf(highest) && highest < 0) return;  // every logit so far is minus infinity
  move_to(highest, sums);
  const auto h = static_cast<float>(highest);
  *sums.total += sum_of(size, [=](std::int64_t i) { return exp_fast(z[i] - h); });
  if (sums.weighted != nullptr) {
    *sums.weighted += sum_of(size, [=](std::int64_t i) { return exp_fast(z[i] - h) * (z[i] - h); });
  }
  if (sums.squares != nullptr) {
    *sums.squares += sum_of(size, [=](std::int64_t i) {
      const float weight = exp_fast(z[i] - h);
      return weight * weight;
    });
  }
  if (sums.cross != nullptr) {
    *sums.cross +=
        sum_of(size, [=](std::int64_t i) { return exp_fast(z[i] - h) * (z[i] - others[i]); });
  }
}

PLUMB_VECTOR_CLONES void logit_gradient(const LogitGradientRow& task, float* gradient) {
  logit_gradient_row(task, gradient);
}
PLUMB_VECTOR_CLONES void logit_gradient(const LogitGradientRow& task, Half* gradient) {
  logit_gradient_row(task, gradient);
}

}  // namespace plumb::kernels::rows
