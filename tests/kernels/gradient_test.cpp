#include "kernels/gradient.hpp"

#include <ATen/TensorOperators.h>

#include "support/random_tensor.hpp"

#include "support/catch.hpp"

namespace plumb::kernels {
namespace {

using test::random_tensor;

TEST_CASE("weight gradients are sums of outer products added to what is there", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  const auto implementation = GENERATE(Implementation::kBest, Implementation::kPortable);
  const auto type = precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
  const std::int64_t rows = GENERATE(1, 2, 33, 1024, 1100), outputs = GENERATE(1, 12, 40);
  const std::int64_t inputs = GENERATE(1, 32, 70);
  CAPTURE(rows, outputs, inputs);
  const at::Tensor dy = random_tensor({rows, outputs}, 1).to(type);
  const at::Tensor x = random_tensor({rows, inputs}, 2).to(type);
  const at::Tensor start = random_tensor({outputs, inputs}, 3);
  at::Tensor gradient = start.clone();
  accumulate_weight_gradient(gradient, dy, x, precision, implementation);
  const at::Tensor exact = start.to(at::kDouble) + dy.to(at::kDouble).t().matmul(x.to(at::kDouble));
  // Sums of `rows` products of size about 1 in float32.
  CHECK((gradient - exact).abs().max().item<double>() < 1e-6 * static_cast<double>(rows + 10));
}

TEST_CASE("weight gradients go into rows of a larger buffer and leave the rest alone", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  at::Tensor buffer = random_tensor({50, 33}, 1);
  const at::Tensor before = buffer.clone();
  const at::Tensor dy = random_tensor({5, 25}, 2), x = random_tensor({5, 40}, 3).narrow(1, 3, 33);
  accumulate_weight_gradient(buffer.narrow(0, 10, 25), dy, x, precision);
  CHECK(buffer.narrow(0, 0, 10).equal(before.narrow(0, 0, 10)));
  CHECK(buffer.narrow(0, 35, 15).equal(before.narrow(0, 35, 15)));
  CHECK_FALSE(buffer.narrow(0, 10, 25).equal(before.narrow(0, 10, 25)));
}

}  // namespace
}  // namespace plumb::kernels
