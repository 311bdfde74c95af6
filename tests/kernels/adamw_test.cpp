#include "kernels/adamw.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "core/error.hpp"
#include "support/random_tensor.hpp"

#include "support/catch.hpp"

namespace plumb::kernels {
namespace {

using test::random_tensor;

/// The formulas of arXiv:1711.05101, algorithm 2, one value in float64.
struct Reference {
  double value, first = 0.0, second = 0.0;
  void update(double gradient, const AdamWStep& s) {
    const double g = gradient * s.gradient_scale;
    first = s.beta1 * first + (1 - s.beta1) * g;
    second = s.beta2 * second + (1 - s.beta2) * g * g;
    const double m = first / (1 - std::pow(s.beta1, static_cast<double>(s.step)));
    const double v = second / (1 - std::pow(s.beta2, static_cast<double>(s.step)));
    value -= s.learning_rate * (m / (std::sqrt(v) + s.epsilon) + s.weight_decay * value);
  }
};

TEST_CASE("AdamW follows the published formulas over several updates", "[unit]") {
  const std::int64_t size = GENERATE(1, 37, 16384 * 2 + 5);
  at::Tensor value = random_tensor({size}, 1), first = at::zeros({size}, at::kFloat),
             second = at::zeros({size}, at::kFloat);
  std::vector<Reference> expected;
  for (std::int64_t i = 0; i < size; ++i) expected.push_back({value[i].item<double>()});
  AdamWStep step{.learning_rate = 0.01, .beta2 = 0.95, .weight_decay = 0.1, .gradient_scale = 0.5};
  for (step.step = 1; step.step <= 3; ++step.step) {
    const at::Tensor gradient = random_tensor({size}, 10 + static_cast<std::uint64_t>(step.step));
    adamw(value, gradient, first, second, step);
    const float* g = gradient.const_data_ptr<float>();
    for (std::int64_t i = 0; i < size; ++i) expected[i].update(static_cast<double>(g[i]), step);
  }
  double error = 0.0;
  for (std::int64_t i = 0; i < size; ++i) {
    error = std::max(error, std::abs(value.const_data_ptr<float>()[i] - expected[i].value));
  }
  CHECK(error < 1e-6);
}

TEST_CASE("the first AdamW update moves by the learning rate against the gradient's sign",
          "[unit]") {
  // Bias correction makes m / sqrt(v) = sign(g) at t = 1.
  at::Tensor value = at::zeros({2}, at::kFloat), first = at::zeros({2}, at::kFloat),
             second = at::zeros({2}, at::kFloat), gradient = at::zeros({2}, at::kFloat);
  gradient[0] = 3.0;
  gradient[1] = -0.002;
  adamw(value, gradient, first, second, {.learning_rate = 0.25, .epsilon = 0.0});
  CHECK(value[0].item<double>() == Approx(-0.25));
  CHECK(value[1].item<double>() == Approx(0.25));
}

TEST_CASE("updates and norms have the same bits with one and two threads", "[unit]") {
  const std::int64_t size = 100001;
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    at::Tensor value = random_tensor({size}, 1), first = random_tensor({size}, 2),
               second = random_tensor({size}, 3).abs();
    adamw(value, random_tensor({size}, 4), first, second, {.learning_rate = 0.1, .step = 7});
    return std::pair(value, squared_norm(value));
  };
  const auto [one, norm_one] = run(1);
  const auto [two, norm_two] = run(2);
  CHECK(one.equal(two));
  CHECK(norm_one == norm_two);
  CHECK(norm_one == Approx(one.to(at::kDouble).square().sum().item<double>()).epsilon(1e-12));
}

TEST_CASE("AdamW refuses tensors of different sizes", "[unit]") {
  at::Tensor four = at::zeros({4}, at::kFloat), five = at::zeros({5}, at::kFloat);
  CHECK_THROWS_AS(adamw(four, five, four, four, {}), InternalError);
}

}  // namespace
}  // namespace plumb::kernels
