#include "tensor/ragged.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>

#include "core/error.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

std::vector<std::int64_t> list(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<std::int64_t>(),
          tensor.const_data_ptr<std::int64_t>() + tensor.numel()};
}

using Ids = std::vector<std::int32_t>;
using Longs = std::vector<std::int64_t>;

TEST_CASE("a shared prompt is laid out once and its continuations start behind it", "[unit]") {
  RaggedBuilder builder;
  const auto prompt = builder.add(Ids{10, 11, 12});
  const auto chosen = builder.add(Ids{20, 21}, prompt);
  const auto rejected = builder.add(Ids{30}, prompt);
  builder.want_logprobs(chosen);
  builder.want_logprobs(rejected);

  const RaggedBatch batch = builder.batch();
  CHECK(list(batch.ids) == Longs{10, 11, 12, 20, 21, 30});
  CHECK(list(batch.positions) == Longs{0, 1, 2, 3, 4, 3});
  CHECK(batch.offsets == Longs{0, 3, 5, 6});
  CHECK(batch.prefix == Longs{-1, 0, 0});
  CHECK(batch.segments() == 3);
  CHECK(batch.length(1) == 2);

  // Row 2 (the prompt's last) predicts the first token of both; row 3 predicts 21.
  const TokenRows rows = builder.rows();
  CHECK(list(rows.rows) == Longs{2, 3, 2});
  CHECK(list(rows.targets) == Longs{20, 21, 30});
  CHECK(rows.offsets == Longs{0, 2, 3});
}

TEST_CASE("a segment without prefix gets log-probs of all tokens but its first", "[unit]") {
  RaggedBuilder builder;
  builder.add(Ids{1, 2});
  builder.want_logprobs(builder.add(Ids{7, 8, 9}));
  builder.want_logprobs(builder.add(Ids{5}));
  const TokenRows rows = builder.rows();
  CHECK(list(rows.rows) == Longs{2, 3});
  CHECK(list(rows.targets) == Longs{8, 9});
  CHECK(rows.offsets == Longs{0, 2, 2});
}

TEST_CASE("a builder refuses empty segments and chained prefixes", "[unit]") {
  RaggedBuilder builder;
  CHECK_THROWS_AS(builder.add(Ids{}), InternalError);
  CHECK_THROWS_AS(builder.add(Ids{1}, 0), InternalError);
  const auto continuation = builder.add(Ids{2}, builder.add(Ids{1}));
  CHECK_THROWS_AS(builder.add(Ids{3}, continuation), InternalError);
  CHECK_THROWS_AS(builder.want_logprobs(2), InternalError);
}

TEST_CASE("segment sums cover empty groups and keep small terms of long groups", "[unit]") {
  const at::Tensor sums = segment_sum(at::arange(1, 7, at::kDouble), {0, 2, 2, 5, 6});
  CHECK(sums.equal(at::tensor({3.0, 0.0, 12.0, 6.0}, at::kDouble)));

  // 2^24 + 1 + 1 in float32 from left to right stays 2^24; the exact sum 2^24 + 2 is representable.
  const at::Tensor big = at::tensor({16777216.0F, 1.0F, 1.0F}, at::kFloat);
  CHECK(segment_sum(big, {0, 3}).item<float>() == 16777218.0F);
  CHECK(segment_sum(big, {0, 3}).scalar_type() == at::kFloat);
}

TEST_CASE("segment sums pass a group's gradient to each of its values", "[unit]") {
  at::Tensor values = at::arange(1, 4, at::kFloat).requires_grad_(true);
  segment_sum(values, {0, 1, 3}).mul(at::tensor({2.0F, 5.0F}, at::kFloat)).sum().backward();
  CHECK(values.grad().equal(at::tensor({2.0F, 5.0F, 5.0F}, at::kFloat)));
}

TEST_CASE("segment sums refuse offsets that do not fit the values", "[unit]") {
  const at::Tensor values = at::arange(1, 4, at::kFloat);
  CHECK_THROWS_AS(segment_sum(values, {}), InternalError);
  CHECK_THROWS_AS(segment_sum(values, {0, 2}), InternalError);
  CHECK_THROWS_AS(segment_sum(values, {0, 3, 2, 3}), InternalError);
}

}  // namespace
}  // namespace plumb
