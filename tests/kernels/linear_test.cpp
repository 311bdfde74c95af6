#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>

#include <limits>

#include "core/error.hpp"
#include "kernels/kernels.hpp"
#include "support/random_tensor.hpp"

#include "support/catch.hpp"

namespace plumb::kernels {
namespace {

using test::random_tensor;

at::ScalarType type_of(Precision precision) {
  return precision == Precision::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

/// Largest error of `y` relative to the sum of absolute products, against float64.
double relative_error(const at::Tensor& y, const at::Tensor& x, const at::Tensor& weight,
                      const at::Tensor& bias) {
  const at::Tensor xd = x.to(at::kDouble), wd = weight.to(at::kDouble);
  at::Tensor exact = xd.matmul(wd.t());
  at::Tensor size = xd.abs().matmul(wd.t().abs()) + 1e-30;
  if (bias.defined()) {
    exact = exact + bias.to(at::kDouble);
    size = size + bias.to(at::kDouble).abs();
  }
  return ((y.to(at::kDouble) - exact).abs() / size).max().item<double>();
}

TEST_CASE("linear agrees with float64 for every row count and odd shapes", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  const auto implementation = GENERATE(Implementation::kBest, Implementation::kPortable);
  const std::int64_t outputs = GENERATE(1, 16, 33, 100);
  const std::int64_t inputs = GENERATE(1, 2, 31, 64);
  const at::Tensor weight = random_tensor({outputs, inputs}, 1).to(type_of(precision));
  const at::Tensor bias = random_tensor({outputs}, 2).to(type_of(precision));
  const PackedWeight packed(weight, precision, implementation);
  REQUIRE(packed.outputs() == outputs);
  REQUIRE(packed.inputs() == inputs);
  for (const std::int64_t rows : {1, 2, 3, 11, 12, 13, 25, 64, 65}) {
    const at::Tensor x = random_tensor({rows, inputs}, 3).to(type_of(precision));
    CAPTURE(rows);
    // Float32 sums of at most 65 terms: 65 half-ulps of 2^-24. Output rounding to bfloat16: 2^-9.
    CHECK(relative_error(linear(x, packed, bias, true), x, weight, bias) < 65 * 0x1p-24);
    CHECK(relative_error(linear(x, packed), x, weight, {}) <
          (precision == Precision::kBFloat16 ? 0x1p-8 : 65 * 0x1p-24));
  }
}

TEST_CASE("a row's bits do not depend on the rows beside it", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  if (instruction_set(precision) == "portable") return;
  const at::Tensor weight = random_tensor({200, 577}, 4).to(type_of(precision));
  const PackedWeight packed(weight, precision);
  const at::Tensor x = random_tensor({65, 577}, 5).to(type_of(precision));
  const at::Tensor all = linear(x, packed);
  for (std::int64_t rows = 1; rows <= 65; ++rows) {
    CAPTURE(rows);
    CHECK(linear(x.narrow(0, 0, rows), packed).equal(all.narrow(0, 0, rows)));
    CHECK(linear(x.narrow(0, 65 - rows, rows), packed).equal(all.narrow(0, 65 - rows, rows)));
  }
}

TEST_CASE("row blocks of a large batch give the bits of single rows", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  if (instruction_set(precision) == "portable") return;
  const PackedWeight packed(random_tensor({70, 1536}, 6), precision);
  const at::Tensor x = random_tensor({700, 1536}, 7).to(type_of(precision));
  const at::Tensor all = linear(x, packed, {}, true);
  for (const std::int64_t row : {0, 59, 60, 127, 128, 131, 132, 400, 699}) {
    CAPTURE(row);
    CHECK(linear(x.narrow(0, row, 1), packed, {}, true).equal(all.narrow(0, row, 1)));
  }
}

TEST_CASE("strided rows, float32 rows and transposed packing give the same bits", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  const auto implementation = GENERATE(Implementation::kBest, Implementation::kPortable);
  const at::Tensor weight = random_tensor({48, 35}, 8);
  const PackedWeight packed(weight, precision, implementation);
  const at::Tensor wide = random_tensor({9, 80}, 9).to(type_of(precision));
  const at::Tensor x = wide.narrow(1, 20, 35);
  const at::Tensor y = linear(x, packed, {}, true);
  CHECK(linear(x.contiguous(), packed, {}, true).equal(y));
  if (precision == Precision::kBFloat16) {
    CHECK(linear(x.to(at::kFloat), packed, {}, true).equal(y));
    CHECK(linear(x.to(at::kFloat), packed).scalar_type() == at::kFloat);
  }
  const auto transposed =
      PackedWeight::transposed(weight.t().contiguous(), precision, implementation);
  CHECK(linear(x, transposed, {}, true).allclose(y, 0, 1e-5));
}

TEST_CASE("outputs and inputs taken in pieces add up to the whole", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  const auto implementation = GENERATE(Implementation::kBest, Implementation::kPortable);
  const std::int64_t rows = GENERATE(1, 40);
  const PackedWeight packed(random_tensor({100, 77}, 1), precision, implementation);
  const at::Tensor x = random_tensor({rows, 77}, 2).to(type_of(precision));
  const at::Tensor whole = linear(x, packed, {}, true);
  for (const std::int64_t first : {0, 32, 64, 96}) {
    const std::int64_t count = std::min<std::int64_t>(32, 100 - first);
    const at::Tensor part = linear_outputs(x, packed, first, count);
    if (implementation == Implementation::kBest) {
      CHECK(part.equal(whole.narrow(1, first, count)));
    } else {
      CHECK(part.allclose(whole.narrow(1, first, count), 0, 1e-5));
    }
  }
  at::Tensor sum = linear(x, packed, {}, true) * 0 + 1;
  add_linear_inputs(sum, x.narrow(1, 0, 40), packed, 0);
  add_linear_inputs(sum, x.narrow(1, 40, 37), packed, 40);
  CHECK(sum.allclose(whole + 1, 0, 2e-5));
  CHECK_THROWS_AS(linear_outputs(x, packed, 16, 32), InternalError);
  CHECK_THROWS_AS(linear_outputs(x, packed, 96, 5), InternalError);
  CHECK_THROWS_AS(add_linear_inputs(sum, x, packed, 2), InternalError);
}

TEST_CASE("repacking replaces every value", "[unit]") {
  const auto precision = GENERATE(Precision::kFloat32, Precision::kBFloat16);
  const bool transpose = GENERATE(false, true);
  const at::Tensor first = random_tensor({40, 50}, 10), second = random_tensor({40, 50}, 11);
  const auto make = [&](const at::Tensor& weight) {
    return transpose ? PackedWeight::transposed(weight, precision)
                     : PackedWeight(weight, precision);
  };
  PackedWeight packed = make(first);
  packed.repack(second);
  const at::Tensor x = random_tensor({5, packed.inputs()}, 12);
  CHECK(linear(x, packed).equal(linear(x, make(second))));
  CHECK_THROWS_AS(packed.repack(first.narrow(0, 0, 20)), InternalError);
}

TEST_CASE("bfloat16 packing rounds to nearest even and keeps NaN and infinity", "[unit]") {
  // 1 + 2^-8 lies between 1 and 1 + 2^-7: ties to the even 1; 1 + 3 * 2^-8 goes up to 1 + 2^-6.
  at::Tensor weight = at::full({4, 1}, 1.0, at::kFloat);
  weight[0][0] = 1.0F + 0x1p-8F;
  weight[1][0] = 1.0F + 3 * 0x1p-8F;
  weight[2][0] = std::numeric_limits<float>::quiet_NaN();
  weight[3][0] = std::numeric_limits<float>::infinity();
  const PackedWeight packed(weight, Precision::kBFloat16);
  const at::Tensor y = linear(at::full({1, 1}, 1.0, at::kFloat), packed);
  CHECK(y[0][0].item<float>() == 1.0F);
  CHECK(y[0][1].item<float>() == 1.0F + 0x1p-6F);
  CHECK(std::isnan(y[0][2].item<float>()));
  CHECK(std::isinf(y[0][3].item<float>()));
}

TEST_CASE("linear handles no rows and refuses wrong shapes", "[unit]") {
  const PackedWeight packed(random_tensor({6, 4}, 13), Precision::kFloat32);
  CHECK(linear(random_tensor({0, 4}, 14), packed).sizes() == at::IntArrayRef{0, 6});
  CHECK_THROWS_AS(linear(random_tensor({2, 5}, 14), packed), InternalError);
  CHECK_THROWS_AS(linear(random_tensor({2, 4}, 14), packed, random_tensor({5}, 15)), InternalError);
  CHECK_THROWS_AS(PackedWeight(random_tensor({6}, 14), Precision::kFloat32), InternalError);
}

}  // namespace
}  // namespace plumb::kernels
