#include "kernels/attention.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <cmath>

#include "support/random_tensor.hpp"

#include "support/catch.hpp"

namespace plumb::kernels {
namespace {

using test::random_tensor;

AttentionShape shape_of(std::int64_t heads, std::int64_t kv_heads, std::int64_t dim) {
  return {heads, kv_heads, dim, 1.0 / std::sqrt(static_cast<double>(dim))};
}

/// Segments of these lengths and prefixes; only the layout matters to attention.
RaggedBatch layout(const std::vector<std::int64_t>& lengths,
                   const std::vector<std::int64_t>& prefix) {
  RaggedBatch batch;
  batch.offsets = {0};
  for (const std::int64_t length : lengths) batch.offsets.push_back(batch.offsets.back() + length);
  batch.prefix = prefix;
  return batch;
}

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).abs().max() / b.to(at::kDouble).abs().max())
      .item<double>();
}

TEST_CASE("packed attention and its gradient equal the portable ones", "[unit]") {
  const auto type = GENERATE(at::kFloat, at::kBFloat16);
  const AttentionShape shape = GENERATE(shape_of(9, 3, 64), shape_of(4, 4, 6), shape_of(2, 1, 80));
  const RaggedBatch batch = layout({33, 1, 60, 7, 131, 2}, {-1, 0, 0, -1, 3, -1});
  const at::Tensor qkv = random_tensor({batch.tokens(), shape.fused_width()}, 1).to(type);
  at::Tensor logsumexp, expected_logsumexp;
  const at::Tensor out = attention(qkv, batch, shape, &logsumexp);
  const at::Tensor expected = portable::attention(qkv, batch, shape, &expected_logsumexp);
  const double bound = type == at::kBFloat16 ? 0x1p-7 : 1e-6;
  CHECK(relative(out, expected) < bound);
  CHECK(relative(logsumexp, expected_logsumexp) < 1e-6);
  CHECK(attention(qkv, batch, shape).equal(out));

  const at::Tensor dout = random_tensor({batch.tokens(), shape.query_width()}, 2).to(type);
  const at::Tensor gradient = attention_backward(dout, qkv, out, logsumexp, batch, shape);
  CHECK(relative(gradient, portable::attention_backward(dout, qkv, expected, expected_logsumexp,
                                                        batch, shape)) < 2 * bound);
}

TEST_CASE("rows behind a shared prefix have the bits of rows in one segment", "[unit]") {
  const auto type = GENERATE(at::kFloat, at::kBFloat16);
  const AttentionShape shape = shape_of(6, 2, 16);
  const at::Tensor prompt = random_tensor({45, shape.fused_width()}, 1).to(type);
  const at::Tensor first = random_tensor({50, shape.fused_width()}, 2).to(type);
  const at::Tensor second = random_tensor({3, shape.fused_width()}, 3).to(type);
  const at::Tensor shared =
      attention(at::cat({prompt, first, second}), layout({45, 50, 3}, {-1, 0, 0}), shape);
  const at::Tensor whole = attention(at::cat({prompt, first}), layout({95}, {-1}), shape);
  const at::Tensor other = attention(at::cat({prompt, second}), layout({48}, {-1}), shape);
  CHECK(shared.narrow(0, 0, 95).equal(whole));
  CHECK(shared.narrow(0, 95, 3).equal(other.narrow(0, 45, 3)));
}

TEST_CASE("the portable attention gradient agrees with central differences", "[unit]") {
  const AttentionShape shape = shape_of(2, 1, 4);
  const RaggedBatch batch = layout({3, 2, 2}, {-1, 0, 0});
  const at::Tensor qkv = random_tensor({7, shape.fused_width()}, 1);
  const at::Tensor dout = random_tensor({7, shape.query_width()}, 2);
  at::Tensor logsumexp;
  const at::Tensor out = portable::attention(qkv, batch, shape, &logsumexp);
  const at::Tensor gradient = portable::attention_backward(dout, qkv, out, logsumexp, batch, shape);
  const auto value = [&](const at::Tensor& at_qkv) {
    return (portable::attention(at_qkv, batch, shape, nullptr).to(at::kDouble) * dout)
        .sum()
        .item<double>();
  };
  for (std::int64_t row = 0; row < 7; ++row) {
    for (std::int64_t column = 0; column < shape.fused_width(); column += 3) {
      at::Tensor up = qkv.clone(), down = qkv.clone();
      up[row][column] += 0.01;
      down[row][column] -= 0.01;
      CHECK(gradient[row][column].item<double>() ==
            Approx((value(up) - value(down)) / 0.02).margin(1e-3));
    }
  }
}

}  // namespace
}  // namespace plumb::kernels
