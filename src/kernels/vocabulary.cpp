#include "kernels/vocabulary.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "core/error.hpp"
#include "kernels/vocabulary_rows.hpp"

namespace plumb::kernels {
namespace {

void check(const at::Tensor& logits, const at::Tensor& per_row) {
  expects(logits.dim() == 2 && logits.is_contiguous() && logits.scalar_type() == at::kFloat,
          "contiguous float32 logits [C, V]");
  expects(per_row.dim() == 1 && per_row.size(0) == logits.size(0) && per_row.is_contiguous(),
          "one value a row of logits");
}

template <class Body>
void for_each_row(std::int64_t count, const Body& body) {
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row);
  });
}

const float* floats(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

}  // namespace

LogitStatistics logit_statistics(const at::Tensor& logits, const at::Tensor& targets, bool entropy,
                                 bool square_logsum) {
  check(logits, targets);
  if (!logits.is_cpu()) return portable::logit_statistics(logits, targets, entropy, square_logsum);
  const std::int64_t count = logits.size(0), size = logits.size(1);
  const auto column = [&](bool wanted) {
    return wanted ? at::empty({count}, at::kFloat) : at::Tensor();
  };
  LogitStatistics stats{column(true), column(true), column(entropy), column(square_logsum)};
  const float* z = floats(logits);
  const auto* target = targets.const_data_ptr<std::int64_t>();
  const auto put = [](at::Tensor& to, std::int64_t row, double value) {
    to.data_ptr<float>()[row] = static_cast<float>(value);
  };
  for_each_row(count, [&](std::int64_t row) {
    const float* line = z + row * size;
    const double total = rows::log_sum_exp(line, size);
    put(stats.logsumexp, row, total);
    put(stats.logprobs, row, static_cast<double>(line[target[row]]) - total);
    if (entropy) put(stats.entropy, row, rows::entropy(line, total, size));
    if (square_logsum) {
      put(stats.square_logsum, row, rows::log_sum_squares(line, total, size));
    }
  });
  return stats;
}

at::Tensor kl_divergence(const at::Tensor& q_logits, const at::Tensor& q_logsumexp,
                         const at::Tensor& p_logits, const at::Tensor& p_logsumexp) {
  check(q_logits, q_logsumexp);
  check(p_logits, p_logsumexp);
  expects(q_logits.sizes() == p_logits.sizes(), "logits over one vocabulary");
  if (!q_logits.is_cpu()) {
    return portable::kl_divergence(q_logits, q_logsumexp, p_logits, p_logsumexp);
  }
  const std::int64_t count = q_logits.size(0), size = q_logits.size(1);
  at::Tensor kl = at::empty({count}, at::kFloat);
  auto* out = kl.data_ptr<float>();
  for_each_row(count, [&](std::int64_t row) {
    out[row] = static_cast<float>(
        rows::kl_divergence(floats(q_logits) + row * size, floats(q_logsumexp)[row],
                            floats(p_logits) + row * size, floats(p_logsumexp)[row], size));
  });
  return kl;
}

at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& logsumexp,
                          const at::Tensor& targets, const at::Tensor& dlogprob,
                          const at::Tensor& dkl, const at::Tensor& q_logits,
                          const at::Tensor& q_logsumexp, at::ScalarType output) {
  check(logits, logsumexp);
  check(logits, targets);
  check(logits, dlogprob);
  if (dkl.defined()) check(q_logits, q_logsumexp), check(q_logits, dkl);
  if (!logits.is_cpu()) {
    return portable::logit_gradient(logits, logsumexp, targets, dlogprob, dkl, q_logits,
                                    q_logsumexp, output);
  }
  const std::int64_t count = logits.size(0), size = logits.size(1);
  at::Tensor gradient = at::empty({count, size}, logits.options().dtype(output));
  const auto* target = targets.const_data_ptr<std::int64_t>();
  const auto fill = [&]<class T>(T* to) {
    for_each_row(count, [&](std::int64_t row) {
      const std::int64_t at = row * size;
      const rows::LogitGradient task{.logits = floats(logits) + at,
                                     .logsumexp = floats(logsumexp)[row],
                                     .target = target[row],
                                     .dlogprob = floats(dlogprob)[row],
                                     .dkl = dkl.defined() ? floats(dkl)[row] : 0.0F,
                                     .q_logits = dkl.defined() ? floats(q_logits) + at : nullptr,
                                     .q_logsumexp = dkl.defined() ? floats(q_logsumexp)[row] : 0.0F,
                                     .size = size};
      rows::logit_gradient(task, to + at);
    });
  };
  if (output == at::kBFloat16) {
    fill(static_cast<rows::Half*>(gradient.data_ptr()));
  } else {
    expects(output == at::kFloat, "a float32 or bfloat16 gradient");
    fill(gradient.data_ptr<float>());
  }
  return gradient;
}

}  // namespace plumb::kernels
