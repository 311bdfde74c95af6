#include "kernels/portable.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/add.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/sigmoid.h>

namespace plumb::kernels::portable {
namespace {

at::Tensor inverse_rms(const at::Tensor& x, double epsilon) {
  return ((x * x).mean(-1, /*keepdim=*/true) + epsilon).rsqrt();
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon,
                    at::ScalarType output) {
  return (x * inverse_rms(x, epsilon) * weight).to(output);
}

at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, at::Tensor& sum,
                        const at::Tensor& weight, double epsilon, at::ScalarType output) {
  at::add_out(sum, x, delta.to(at::kFloat));
  return rms_norm(sum, weight, epsilon, output);
}

void rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                       double epsilon, at::Tensor& dx, at::Tensor dweight) {
  const at::Tensor scale = inverse_rms(x, epsilon), unit = x * scale, gradient = dy.to(at::kFloat);
  const at::Tensor dunit = gradient * weight;
  dx += scale * (dunit - unit * (dunit * unit).mean(-1, /*keepdim=*/true));
  dweight += (gradient * unit).sum(0);
}

void rope(at::Tensor& x, const at::Tensor& positions, const at::Tensor& cosine,
          const at::Tensor& sine, std::int64_t heads, bool inverse) {
  const std::int64_t half = cosine.size(1);
  const at::Tensor c = cosine.index_select(0, positions).unsqueeze(1);
  at::Tensor s = sine.index_select(0, positions).unsqueeze(1);
  if (inverse) s = -s;
  at::Tensor view = x.narrow(1, 0, heads * 2 * half).unflatten(1, {heads, 2 * half});
  const at::Tensor a = view.narrow(2, 0, half).to(at::kFloat),
                   b = view.narrow(2, half, half).to(at::kFloat);
  view.copy_(at::cat({a * c - b * s, b * c + a * s}, 2));
}

at::Tensor swiglu(const at::Tensor& gate_up) {
  const std::int64_t size = gate_up.size(1) / 2;
  const at::Tensor gate = gate_up.narrow(1, 0, size).to(at::kFloat);
  return (gate * gate.sigmoid() * gate_up.narrow(1, size, size)).to(gate_up.scalar_type());
}

at::Tensor swiglu_backward(const at::Tensor& dy, const at::Tensor& gate_up) {
  const std::int64_t size = gate_up.size(1) / 2;
  const at::Tensor gate = gate_up.narrow(1, 0, size).to(at::kFloat),
                   up = gate_up.narrow(1, size, size).to(at::kFloat), gradient = dy.to(at::kFloat),
                   sigmoid = gate.sigmoid();
  const at::Tensor dgate = gradient * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
  return at::cat({dgate, gradient * gate * sigmoid}, 1).to(gate_up.scalar_type());
}

}  // namespace plumb::kernels::portable
