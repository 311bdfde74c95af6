#include "kernels/elementwise.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "kernels/portable.hpp"
#include "support/random_tensor.hpp"

#include "support/catch.hpp"

namespace plumb::kernels {
namespace {

using test::random_tensor;

double largest(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/// Rounding of values up to about 4 to the type: half a bfloat16 step is 2^-7 there.
double rounding(at::ScalarType type) { return type == at::kBFloat16 ? 0x1p-6 : 4e-6; }

TEST_CASE("vectorised norms, rotations and activations equal their portable forms", "[unit]") {
  const auto type = GENERATE(at::kFloat, at::kBFloat16);
  const std::int64_t rows = GENERATE(1, 3, 130), width = GENERATE(2, 30, 576);
  CAPTURE(type, rows, width);
  const at::Tensor x = random_tensor({rows, width}, 1), weight = random_tensor({width}, 2);
  const at::Tensor delta = random_tensor({rows, width}, 3).to(type);
  CHECK(largest(rms_norm(x, weight, 1e-5, type), portable::rms_norm(x, weight, 1e-5, type)) <
        rounding(type));

  at::Tensor sum = at::zeros_like(x), expected_sum = at::zeros_like(x);
  const at::Tensor y = add_rms_norm(x, delta, sum, weight, 1e-5, type);
  const at::Tensor expected = portable::add_rms_norm(x, delta, expected_sum, weight, 1e-5, type);
  CHECK(sum.equal(expected_sum));
  CHECK(largest(y, expected) < rounding(type));
  at::Tensor in_place = x.clone();
  CHECK(add_rms_norm(in_place, delta, in_place, weight, 1e-5, type).equal(y));
  CHECK(in_place.equal(sum));

  at::Tensor dx = random_tensor({rows, width}, 4), dweight = random_tensor({width}, 5);
  at::Tensor expected_dx = dx.clone(), expected_dweight = dweight.clone();
  rms_norm_backward(delta, x, weight, 1e-5, dx, dweight);
  portable::rms_norm_backward(delta, x, weight, 1e-5, expected_dx, expected_dweight);
  CHECK(largest(dx, expected_dx) < 1e-4 * (1.0 + expected_dx.abs().max().item<double>()));
  CHECK(largest(dweight, expected_dweight) < 1e-4);

  const at::Tensor gate_up = random_tensor({rows, 2 * width}, 6).to(type);
  CHECK(largest(swiglu(gate_up), portable::swiglu(gate_up)) < 4 * rounding(type));
  CHECK(largest(swiglu_backward(delta, gate_up), portable::swiglu_backward(delta, gate_up)) <
        4 * rounding(type));
}

TEST_CASE("rotation equals its portable form and its inverse undoes it", "[unit]") {
  const auto type = GENERATE(at::kFloat, at::kBFloat16);
  const std::int64_t rows = 37, heads = 3, half = 5;
  const at::Tensor angle = random_tensor({50, half}, 1), cosine = angle.cos(), sine = angle.sin();
  const at::Tensor positions = at::arange(rows, at::kLong) % 50;
  const at::Tensor start = random_tensor({rows, heads * 2 * half + 7}, 2).to(type);
  at::Tensor x = start.clone(), expected = start.clone();
  rope(x, positions, cosine, sine, heads);
  portable::rope(expected, positions, cosine, sine, heads, false);
  CHECK(largest(x, expected) < rounding(type));
  CHECK(x.narrow(1, heads * 2 * half, 7).equal(start.narrow(1, heads * 2 * half, 7)));
  CHECK(largest(x, start) > 0.1);
  rope(x, positions, cosine, sine, heads, /*inverse=*/true);
  CHECK(largest(x, start) < 2 * rounding(type));
}

TEST_CASE("the norm's gradient agrees with central differences", "[unit]") {
  const at::Tensor x = random_tensor({2, 6}, 1), weight = random_tensor({6}, 2),
                   dy = random_tensor({2, 6}, 3);
  at::Tensor dx = at::zeros({2, 6}, at::kFloat), dweight = at::zeros({6}, at::kFloat);
  rms_norm_backward(dy, x, weight, 1e-5, dx, dweight);
  const auto value = [&](const at::Tensor& at_x, const at::Tensor& at_weight) {
    const at::Tensor scale = ((at_x * at_x).mean(-1, true) + 1e-5).rsqrt();
    return (dy.to(at::kDouble) * at_x * scale * at_weight).sum().item<double>();
  };
  const at::Tensor x64 = x.to(at::kDouble), weight64 = weight.to(at::kDouble);
  for (std::int64_t i = 0; i < 6; ++i) {
    at::Tensor up = x64.clone(), down = x64.clone();
    up[1][i] += 1e-5;
    down[1][i] -= 1e-5;
    CHECK(dx[1][i].item<double>() ==
          Approx((value(up, weight64) - value(down, weight64)) / 2e-5).margin(1e-5));
    at::Tensor heavier = weight64.clone();
    heavier[i] += 1.0;
    CHECK(dweight[i].item<double>() ==
          Approx(value(x64, heavier) - value(x64, weight64)).margin(1e-5));
  }
}

}  // namespace
}  // namespace plumb::kernels
