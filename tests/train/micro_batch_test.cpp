#include "train/micro_batch.hpp"

#include <ATen/ops/arange.h>

#include "support/catch.hpp"

namespace plumb {
namespace {

template <class Value>
std::vector<Value> values_of(const at::Tensor& tensor, at::ScalarType type) {
  const at::Tensor flat = tensor.to(type).contiguous();
  return {flat.const_data_ptr<Value>(), flat.const_data_ptr<Value>() + flat.numel()};
}
std::vector<float> floats(const at::Tensor& tensor) { return values_of<float>(tensor, at::kFloat); }

}  // namespace

TEST_CASE("micro-batch: what is stored with a pair stands at the tokens of its own side",
          "[train][unit]") {
  TrainingPair a, b;
  a.prompt = {1, 2};
  a.chosen = {{3, 4, 5}, {-1.0F, -2.0F, -3.0F}, {0.1F, 0.2F, 0.3F}, {{1, 2}}, 10.0};
  a.rejected = {{6, 7}, {-4.0F, -5.0F}, {0.4F, 0.5F}, {{0, 1}}, 20.0};
  b.prompt = {1};
  b.chosen = {{8}, {-6.0F}, {0.6F}, {}, 30.0};
  b.rejected = {{9, 10, 11}, {-7.0F, -8.0F, -9.0F}, {0.7F, 0.8F, 0.9F}, {{0, 1}, {2, 3}}, 40.0};
  const std::vector<const TrainingPair*> pairs{&a, &b};
  Needs needs;
  needs.reference = needs.token_rewards = needs.spans = needs.rewards = true;
  const MicroBatch micro = make_micro_batch(pairs, needs, at::kCPU);

  TokenStats stats;
  stats.logprobs = at::arange(0, 9, at::kFloat);  // rows: all chosen (3 + 1), all rejected (2 + 3)
  const PreferenceBatch batch = make_preference_batch(micro, stats, needs);

  using Offsets = std::vector<std::int64_t>;
  using Floats = std::vector<float>;
  using Bits = std::vector<int>;
  CHECK(batch.chosen.offsets == Offsets{0, 3, 4});
  CHECK(batch.rejected.offsets == Offsets{0, 2, 5});
  CHECK(floats(batch.chosen.logps) == Floats{0, 1, 2, 3});
  CHECK(floats(batch.rejected.logps) == Floats{4, 5, 6, 7, 8});
  CHECK(floats(batch.chosen.ref_logps) == Floats{-1, -2, -3, -6});
  CHECK(floats(batch.rejected.ref_logps) == Floats{-4, -5, -7, -8, -9});
  CHECK(floats(batch.chosen.token_rewards) == Floats{0.1F, 0.2F, 0.3F, 0.6F});
  CHECK(floats(batch.rejected.token_rewards) == Floats{0.4F, 0.5F, 0.7F, 0.8F, 0.9F});
  CHECK(values_of<int>(batch.chosen.span_mask, at::kInt) == Bits{0, 1, 0, 0});
  CHECK(values_of<int>(batch.rejected.span_mask, at::kInt) == Bits{1, 0, 1, 0, 1});
  CHECK(floats(batch.chosen.reward) == Floats{10, 30});
  CHECK(floats(batch.rejected.reward) == Floats{20, 40});
}

}  // namespace plumb
