#include "model/weight_names.hpp"

#include "core/error.hpp"
#include "model/model_files.hpp"

#include "support/catch.hpp"

using namespace plumb;

TEST_CASE("weights: everything wrong is listed together", "[unit][model_files]") {
  const ModelConfig config = test::tiny_config("qwen2");
  TensorMap weights = test::random_weights(config);
  CHECK_NOTHROW(check_weights(config, weights, "folder"));
  weights.erase("model.layers.0.self_attn.q_proj.bias");
  weights.erase("lm_head.weight");
  weights["score.weight"] = at::randn({1, 16});
  weights["model.norm.weight"] = at::randn({15});
  weights["model.layers.1.input_layernorm.weight"] = at::randn({16}).to(at::kDouble);
  CHECK_THROWS_WITH(check_weights(config, weights, "folder"),
                    Catch::Contains("folder") && Catch::Contains("2 missing") &&
                        Catch::Contains("lm_head.weight") && Catch::Contains("q_proj.bias") &&
                        Catch::Contains("unexpected: score.weight") &&
                        Catch::Contains("[15], expected [16]") && Catch::Contains("is Double"));
}

TEST_CASE("weights: long lists are cut", "[unit][model_files]") {
  TensorMap none;
  CHECK_THROWS_WITH(check_weights(test::tiny_config(), none, "folder"),
                    Catch::Contains("21 missing") && Catch::Contains(", ..."));
}

TEST_CASE("weights: a tied head and rotary buffers are dropped", "[unit][model_files]") {
  ModelConfig config = test::tiny_config();
  TensorMap weights = test::random_weights(config);
  config.tie_word_embeddings = true;
  weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone();
  weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::randn({2});
  check_weights(config, weights, "folder");
  CHECK(weights.size() == 20);
  CHECK_FALSE(weights.contains("lm_head.weight"));
}
