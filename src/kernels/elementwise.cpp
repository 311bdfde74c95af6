#include "kernels/elementwise.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.hpp"
#include "kernels/portable.hpp"
#include "kernels/rows.hpp"

namespace plumb::kernels {
namespace {

/// Values a thread handles at least; fewer do not pay for waking it.
constexpr std::int64_t kGrainValues = 16384;
/// Rows whose weight gradients are summed into one partial sum: fixed, so that the total does not
/// depend on the threads.
constexpr std::int64_t kPartialRows = 64;

template <class Rows>
void for_rows(std::int64_t rows, std::int64_t width, const Rows& body) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, kGrainValues / std::max<std::int64_t>(1, width));
  at::parallel_for(0, rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row);
  });
}

/// Calls `body` with a typed null pointer: float, or rows::Half for bfloat16.
template <class Body>
void with_type(at::ScalarType type, const Body& body) {
  if (type == at::kBFloat16) {
    body(static_cast<rows::Half*>(nullptr));
  } else {
    expects(type == at::kFloat, "float32 or bfloat16 values");
    body(static_cast<float*>(nullptr));
  }
}

template <class T>
const T* data(const at::Tensor& tensor) {
  return static_cast<const T*>(tensor.const_data_ptr());
}
template <class T>
T* mutable_data(at::Tensor& tensor) {
  return static_cast<T*>(tensor.data_ptr());
}

void check_rows(const at::Tensor& x, const at::Tensor& weight) {
  expects(x.dim() == 2 && x.is_contiguous() && x.scalar_type() == at::kFloat,
          "contiguous float32 rows [M, H]");
  expects(
      weight.is_contiguous() && weight.scalar_type() == at::kFloat && weight.numel() == x.size(1),
      "a float32 norm weight [H]");
}

at::Tensor norm_rows(const at::Tensor& x, const at::Tensor* delta, at::Tensor* sum,
                     const at::Tensor& weight, double epsilon, at::ScalarType output) {
  const std::int64_t width = x.size(1);
  at::Tensor y = at::empty(x.sizes(), x.options().dtype(output));
  with_type(output, [&]<class T>(T*) {
    for_rows(x.size(0), width, [&](std::int64_t row) {
      const std::int64_t at = row * width;
      rows::rms_norm(data<float>(x) + at, delta != nullptr ? data<T>(*delta) + at : nullptr,
                     sum != nullptr ? mutable_data<float>(*sum) + at : nullptr, data<float>(weight),
                     static_cast<float>(epsilon), mutable_data<T>(y) + at, width);
    });
  });
  return y;
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                    at::ScalarType output) {
  check_rows(x, weight);
  if (!x.is_cpu()) return portable::rms_norm(x, weight, epsilon, output);
  return norm_rows(x, nullptr, nullptr, weight, epsilon, output);
}

at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, at::Tensor& sum,
                        const at::Tensor& weight, double epsilon, at::ScalarType output) {
  check_rows(x, weight);
  check_rows(sum, weight);
  expects(delta.sizes() == x.sizes() && delta.is_contiguous() && delta.scalar_type() == output,
          "delta of the shape of x and the output's type");
  if (!x.is_cpu()) return portable::add_rms_norm(x, delta, sum, weight, epsilon, output);
  return norm_rows(x, &delta, &sum, weight, epsilon, output);
}

void rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                       double epsilon, at::Tensor& dx, at::Tensor dweight) {
  check_rows(x, weight);
  check_rows(dx, weight);
  expects(dy.sizes() == x.sizes() && dy.is_contiguous(), "dy of the shape of x");
  if (!x.is_cpu()) return portable::rms_norm_backward(dy, x, weight, epsilon, dx, dweight);
  const std::int64_t count = x.size(0), width = x.size(1);
  const std::int64_t parts = (count + kPartialRows - 1) / kPartialRows;
  at::Tensor partial = at::zeros({parts, width}, at::kFloat);
  with_type(dy.scalar_type(), [&]<class T>(T*) {
    at::parallel_for(0, parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) {
        float* sums = mutable_data<float>(partial) + part * width;
        const std::int64_t last = std::min(count, (part + 1) * kPartialRows);
        for (std::int64_t row = part * kPartialRows; row < last; ++row) {
          rows::rms_norm_backward(data<T>(dy) + row * width, data<float>(x) + row * width,
                                  data<float>(weight), static_cast<float>(epsilon),
                                  mutable_data<float>(dx) + row * width, sums, width);
        }
      }
    });
  });
  dweight += partial.sum(0);
}

void rope(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cosine,
          const at::Tensor& sine, std::int64_t heads, bool inverse) {
  const std::int64_t half = cosine.size(1);
  expects(x.dim() == 2 && x.stride(1) == 1 && x.size(1) >= heads * 2 * half,
          "rows that hold the heads");
  expects(positions.scalar_type() == at::kLong && positions.numel() == x.size(0),
          "one int64 position a row");
  if (!x.is_cpu()) return portable::rope(x, positions, cosine, sine, heads, inverse);
  const float sign = inverse ? -1.0F : 1.0F;
  const auto* position = data<std::int64_t>(positions);
  with_type(x.scalar_type(), [&]<class T>(T*) {
    for_rows(x.size(0), heads * 2 * half, [&](std::int64_t row) {
      const std::int64_t at = position[row] * half;
      rows::rope(mutable_data<T>(x) + row * x.stride(0), data<float>(cosine) + at,
                 data<float>(sine) + at, sign, heads, half);
    });
  });
}

at::Tensor swiglu(const at::Tensor& gate_up) {
  expects(gate_up.dim() == 2 && gate_up.is_contiguous() && gate_up.size(1) % 2 == 0,
          "contiguous rows [gate | up]");
  if (!gate_up.is_cpu()) return portable::swiglu(gate_up);
  const std::int64_t size = gate_up.size(1) / 2;
  at::Tensor y = at::empty({gate_up.size(0), size}, gate_up.options());
  with_type(gate_up.scalar_type(), [&]<class T>(T*) {
    for_rows(gate_up.size(0), size, [&](std::int64_t row) {
      rows::swiglu(data<T>(gate_up) + row * 2 * size, mutable_data<T>(y) + row * size, size);
    });
  });
  return y;
}

at::Tensor swiglu_backward(const at::Tensor& dy, const at::Tensor& gate_up) {
  expects(dy.is_contiguous() && gate_up.is_contiguous() && 2 * dy.size(1) == gate_up.size(1) &&
              dy.size(0) == gate_up.size(0) && dy.scalar_type() == gate_up.scalar_type(),
          "dy [M, F] for gate_up [M, 2F] of one type");
  if (!gate_up.is_cpu()) return portable::swiglu_backward(dy, gate_up);
  const std::int64_t size = dy.size(1);
  at::Tensor dgate_up = at::empty_like(gate_up);
  with_type(gate_up.scalar_type(), [&]<class T>(T*) {
    for_rows(dy.size(0), size, [&](std::int64_t row) {
      rows::swiglu_backward(data<T>(dy) + row * size, data<T>(gate_up) + row * 2 * size,
                            mutable_data<T>(dgate_up) + row * 2 * size, size);
    });
  });
  return dgate_up;
}

}  // namespace plumb::kernels
