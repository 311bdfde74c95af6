#pragma once
#include <cstdint>

/// Loops over a block of one row of logits, free of torch. Sums are float32 within short pieces and
/// float64 across them.
namespace plumb::kernels::rows {

using Half = std::uint16_t;

/// The running sums of a row, see LogitStatistics; the last four may be null.
struct RunningSums {
  double *highest, *total;
  double *weighted, *squares, *cross, *sum;
};

/// @param others logits of the same words for `cross`, or null
void add_logits(const float* logits, const float* others, std::int64_t size,
                const RunningSums& sums);

/// dlogprob * (onehot(target) - p) + dkl * (p - q)
struct LogitGradientRow {
  const float* logits;
  float logsumexp;
  std::int64_t target;  // column, outside 0 .. size - 1 where the target is in another block
  float dlogprob, dkl;
  const float* q_logits;  // null: dkl is not used
  float q_logsumexp;
  std::int64_t size;
};
void logit_gradient(const LogitGradientRow& task, float* gradient);
void logit_gradient(const LogitGradientRow& task, Half* gradient);

}  // namespace plumb::kernels::rows
