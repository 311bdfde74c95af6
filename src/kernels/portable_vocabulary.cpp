#include <ATen/TensorOperators.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include "kernels/vocabulary.hpp"

namespace plumb::kernels::portable {

void add_logits(LogitStatistics& statistics, const at::Tensor& logits, std::int64_t first,
                const at::Tensor& targets, const at::Tensor& others) {
  const at::Tensor z = logits.to(at::kDouble);
  const at::Tensor highest = at::maximum(statistics.highest, z.amax(1));
  // Sums so far move to the new highest logit; before the first block there is nothing to move.
  const at::Tensor shift = (statistics.highest - highest).masked_fill(statistics.total == 0, 0.0);
  const at::Tensor factor = shift.exp(), distance = z - highest.unsqueeze(1),
                   weight = distance.exp();
  if (statistics.weighted.defined()) {
    statistics.weighted =
        factor * (statistics.weighted + shift * statistics.total) + (weight * distance).sum(1);
  }
  if (statistics.squares.defined()) {
    statistics.squares = factor * factor * statistics.squares + (weight * weight).sum(1);
  }
  if (statistics.cross.defined()) {
    statistics.cross = factor * statistics.cross + (weight * (z - others)).sum(1);
  }
  if (statistics.sum.defined()) statistics.sum = statistics.sum + z.sum(1);
  statistics.total = factor * statistics.total + weight.sum(1);
  statistics.highest = highest;
  const at::Tensor column = targets - first;
  const at::Tensor inside = (column >= 0).logical_and(column < logits.size(1));
  const at::Tensor picked =
      z.gather(1, at::where(inside, column, at::zeros_like(column)).unsqueeze(1)).squeeze(1);
  statistics.target = at::where(inside, picked, statistics.target);
}

at::Tensor logit_gradient(const LogitGradient& gradient, const at::Tensor& logits,
                          const at::Tensor& q_logits, std::int64_t first, at::ScalarType output) {
  const at::Tensor p = (logits - gradient.logsumexp.unsqueeze(1)).exp();
  at::Tensor result = p * -gradient.dlogprob.unsqueeze(1);
  const at::Tensor column = gradient.targets - first;
  const at::Tensor inside = (column >= 0).logical_and(column < logits.size(1));
  const at::Tensor zeros = at::zeros_like(column);
  result.scatter_add_(
      1, at::where(inside, column, zeros).unsqueeze(1),
      at::where(inside, gradient.dlogprob, at::zeros_like(gradient.dlogprob)).unsqueeze(1));
  if (gradient.dkl.defined()) {
    result +=
        gradient.dkl.unsqueeze(1) * (p - (q_logits - gradient.q_logsumexp.unsqueeze(1)).exp());
  }
  return result.to(output);
}

}  // namespace plumb::kernels::portable
