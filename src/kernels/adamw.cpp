#include "kernels/adamw.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"
#include "kernels/optimizer_rows.hpp"

namespace plumb::kernels {
namespace {

/// Values handled as one piece whatever the number of threads.
constexpr std::int64_t kPiece = 16384;

rows::AdamWFactors factors_of(const AdamWStep& step) {
  const auto t = static_cast<double>(step.step);
  return {.scale = static_cast<float>(step.gradient_scale),
          .keep1 = static_cast<float>(step.beta1),
          .add1 = static_cast<float>(1.0 - step.beta1),
          .keep2 = static_cast<float>(step.beta2),
          .add2 = static_cast<float>(1.0 - step.beta2),
          .decay = static_cast<float>(1.0 - step.learning_rate * step.weight_decay),
          .rate = static_cast<float>(step.learning_rate / (1.0 - std::pow(step.beta1, t))),
          .root = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(step.beta2, t))),
          .epsilon = static_cast<float>(step.epsilon)};
}

/// Calls body(piece, first, size) for pieces of fixed size.
template <class Body>
void for_pieces(std::int64_t size, const Body& body) {
  at::parallel_for(0, (size + kPiece - 1) / kPiece, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t piece = begin; piece < end; ++piece) {
      const std::int64_t first = piece * kPiece;
      body(piece, first, std::min(kPiece, size - first));
    }
  });
}

bool plain(const at::Tensor& tensor) {
  return tensor.defined() && tensor.is_cpu() && tensor.scalar_type() == at::kFloat &&
         tensor.is_contiguous();
}

}  // namespace

void adamw(at::Tensor& value, const at::Tensor& gradient, at::Tensor& first_moment,
           at::Tensor& second_moment, const AdamWStep& step) {
  expects(plain(value) && plain(gradient) && plain(first_moment) && plain(second_moment),
          "contiguous float32 tensors on the CPU");
  expects(value.numel() == gradient.numel() && value.numel() == first_moment.numel() &&
              value.numel() == second_moment.numel(),
          "tensors of one size");
  expects(step.step >= 1, "updates numbered from 1");
  const rows::AdamWFactors factors = factors_of(step);
  float *v = value.data_ptr<float>(), *m1 = first_moment.data_ptr<float>(),
        *m2 = second_moment.data_ptr<float>();
  const float* g = gradient.const_data_ptr<float>();
  for_pieces(value.numel(), [&](std::int64_t, std::int64_t first, std::int64_t size) {
    rows::adamw(v + first, g + first, m1 + first, m2 + first, size, factors);
  });
}

double squared_norm(const at::Tensor& values) {
  expects(plain(values), "a contiguous float32 tensor on the CPU");
  std::vector<double> sums(static_cast<std::size_t>((values.numel() + kPiece - 1) / kPiece));
  const float* data = values.const_data_ptr<float>();
  for_pieces(values.numel(), [&](std::int64_t piece, std::int64_t first, std::int64_t size) {
    sums[static_cast<std::size_t>(piece)] = rows::sum_of_squares(data + first, size);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

}  // namespace plumb::kernels
