#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <numeric>

#include "model/decoder.hpp"
#include "model/weight_names.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using nlohmann::json;

namespace {

json families() {
  std::ifstream in(std::filesystem::path(PLUMB_SOURCE_DIR) / "tests/model/families/families.json");
  return json::parse(in);
}

/// The numbers of weight_values() in families/make_families.py: integer arithmetic, so that both
/// sides have the same bits.
at::Tensor weight_values(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::uint32_t seed = 2166136261u;
  for (const unsigned char byte : name) seed = (seed ^ byte) * 16777619u;
  at::Tensor values = at::empty(shape, at::kFloat);
  auto* out = values.mutable_data_ptr<float>();
  const float shift = name.ends_with("norm.weight") ? 1.0F : 0.0F;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    std::uint32_t x = seed + static_cast<std::uint32_t>(i) * 2654435761u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    out[i] = (static_cast<float>(x % 2001) - 1000.0F) / 2500.0F + shift;
  }
  return values;
}

}  // namespace

TEST_CASE("families: logits of every family and RoPE scaling equal transformers'",
          "[unit][golden][model_files]") {
  const at::NoGradGuard no_gradients;
  const json golden = families();
  REQUIRE(golden["cases"].size() == 16);
  RaggedBuilder builder;
  builder.add(golden["ids"].get<std::vector<std::int32_t>>());
  const RaggedBatch batch = builder.batch();
  for (const json& one : golden["cases"]) {
    INFO(one["family"] << ", " << one["scaling"]);
    const ModelConfig config = ModelConfig::from_json(one["config"], "config.json");
    CHECK(config.parameter_count() == one["parameters"]);
    TensorMap weights;
    for (const auto& [name, shape] : expected_weights(config))
      weights[name] = weight_values(name, shape);
    const Decoder decoder(config, weights, kernels::Precision::kFloat32, false);
    const at::Tensor logits = decoder.logits(decoder.hidden(batch));
    double largest = 0;
    for (std::size_t r = 0; r < golden["rows"].size(); ++r) {
      const float* row = logits[golden["rows"][r].get<std::int64_t>()].const_data_ptr<float>();
      for (const json& expected : one["logits"][r]) {
        largest = std::max(largest, std::abs(*row++ - expected.get<double>()));
      }
    }
    CHECK(largest < 1e-5);  // logits are of size 3, float32 rounding of two layers
  }
}
