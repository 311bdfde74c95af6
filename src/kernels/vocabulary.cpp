#include "kernels/vocabulary.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <limits>

#include "core/error.hpp"
#include "kernels/vocabulary_rows.hpp"

namespace plumb::kernels {
namespace {

void check(const at::Tensor& logits, std::int64_t rows) {
  expects(logits.dim() == 2 && logits.is_contiguous() && logits.scalar_type() == at::kFloat &&
              logits.size(0) == rows,
          "contiguous float32 logits [C, B]");
}

void check_column(const at::Tensor& values, std::int64_t rows, at::ScalarType type) {
  expects(values.dim() == 1 && values.size(0) == rows && values.is_contiguous() &&
              values.scalar_type() == type,
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
double* doubles(at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<double>() : nullptr;
}

}  // namespace

at::Tensor LogitStatistics::logsumexp() const { return (highest + total.log()).to(at::kFloat); }
at::Tensor LogitStatistics::logprobs() const {
  return (target - highest - total.log()).to(at::kFloat);
}
at::Tensor LogitStatistics::entropy() const {
  return (total.log() - weighted / total).to(at::kFloat);
}
at::Tensor LogitStatistics::square_logsum() const {
  return (squares.log() - total.log() * 2).to(at::kFloat);
}
at::Tensor LogitStatistics::mean_logit(std::int64_t words) const {
  return (sum / static_cast<double>(words)).to(at::kFloat);
}
at::Tensor LogitStatistics::is_top() const { return (target == highest).to(at::kFloat); }
at::Tensor LogitStatistics::divergence_from(const LogitStatistics& p) const {
  const at::Tensor shift = (highest + total.log()) - (p.highest + p.total.log());
  return (cross / total - shift).to(at::kFloat);
}

LogitStatistics start_statistics(std::int64_t rows, at::Device device,
                                 const WantedStatistics& wanted) {
  const auto options = at::TensorOptions().dtype(at::kDouble).device(device);
  const auto zeros = [&](bool needed) {
    return needed ? at::zeros({rows}, options) : at::Tensor();
  };
  return {at::full({rows}, -std::numeric_limits<double>::infinity(), options),
          zeros(true),
          zeros(true),
          zeros(wanted.entropy),
          zeros(wanted.square_logsum),
          zeros(wanted.divergence),
          zeros(wanted.mean_logit)};
}

void add_logits(LogitStatistics& statistics, const at::Tensor& logits, std::int64_t first,
                const at::Tensor& targets, const at::Tensor& others) {
  const std::int64_t count = statistics.total.size(0), size = logits.size(1);
  check(logits, count);
  check_column(targets, count, at::kLong);
  expects(others.defined() == statistics.cross.defined(), "other logits exactly for a divergence");
  if (others.defined()) check(others, count);
  if (!logits.is_cpu()) return portable::add_logits(statistics, logits, first, targets, others);
  double *highest = doubles(statistics.highest), *total = doubles(statistics.total),
         *target = doubles(statistics.target), *weighted = doubles(statistics.weighted),
         *squares = doubles(statistics.squares), *cross = doubles(statistics.cross),
         *sum = doubles(statistics.sum);
  const auto* word = targets.const_data_ptr<std::int64_t>();
  for_each_row(count, [&](std::int64_t row) {
    const float* z = floats(logits) + row * size;
    const float* p = others.defined() ? floats(others) + row * size : nullptr;
    const auto at = [row](double* column) { return column != nullptr ? column + row : nullptr; };
    rows::add_logits(z, p, size,
                     {at(highest), at(total), at(weighted), at(squares), at(cross), at(sum)});
    const std::int64_t column = word[row] - first;
    if (column >= 0 && column < size) target[row] = static_cast<double>(z[column]);
  });
}

at::Tensor logit_gradient(const LogitGradient& gradient, const at::Tensor& logits,
                          const at::Tensor& q_logits, std::int64_t first, at::ScalarType output) {
  const std::int64_t count = gradient.logsumexp.size(0), size = logits.size(1);
  const bool with_kl = gradient.dkl.defined();
  check(logits, count);
  check_column(gradient.logsumexp, count, at::kFloat);
  check_column(gradient.targets, count, at::kLong);
  check_column(gradient.dlogprob, count, at::kFloat);
  if (with_kl) {
    check(q_logits, count);
    check_column(gradient.dkl, count, at::kFloat);
    check_column(gradient.q_logsumexp, count, at::kFloat);
  }
  expects(output == at::kFloat || output == at::kBFloat16, "a float32 or bfloat16 gradient");
  if (!logits.is_cpu()) return portable::logit_gradient(gradient, logits, q_logits, first, output);
  at::Tensor result = at::empty({count, size}, logits.options().dtype(output));
  const auto* word = gradient.targets.const_data_ptr<std::int64_t>();
  for_each_row(count, [&](std::int64_t row) {
    const std::int64_t at = row * size;
    const rows::LogitGradientRow task{
        .logits = floats(logits) + at,
        .logsumexp = floats(gradient.logsumexp)[row],
        .target = word[row] - first,
        .dlogprob = floats(gradient.dlogprob)[row],
        .dkl = with_kl ? floats(gradient.dkl)[row] : 0.0F,
        .q_logits = with_kl ? floats(q_logits) + at : nullptr,
        .q_logsumexp = with_kl ? floats(gradient.q_logsumexp)[row] : 0.0F,
        .size = size};
    if (output == at::kBFloat16) {
      rows::logit_gradient(task, static_cast<rows::Half*>(result.data_ptr()) + at);
    } else {
      rows::logit_gradient(task, result.data_ptr<float>() + at);
    }
  });
  return result;
}

}  // namespace plumb::kernels
