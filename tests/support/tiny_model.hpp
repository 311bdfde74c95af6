#pragma once

#include <string>
#include <vector>

#include "core/rng.hpp"
#include "model/checkpoint.hpp"
#include "model/decoder.hpp"
#include "support/random_tensor.hpp"

/// A random two-layer model for tests: small enough to run in milliseconds, odd enough to catch
/// mixed-up sizes.
namespace plumb::test {

inline ModelConfig tiny_config() {
  ModelConfig config;
  config.vocab_size = 300;
  config.hidden_size = 64;
  config.intermediate_size = 96;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.max_position_embeddings = 256;
  config.tie_word_embeddings = true;
  config.eos = {2};
  return config;
}

/// Weights of any config under their Hugging Face names, float32: normal with deviation 0.08 (norms
/// around 1).
inline TensorMap random_weights(const ModelConfig& config, std::uint64_t seed = 1) {
  TensorMap weights;
  const auto matrix = [&](const std::string& name, at::IntArrayRef shape) {
    weights[name] = random_tensor(shape, seed * 1000 + weights.size(), 0.08);
  };
  const auto norm = [&](const std::string& name, std::int64_t size) {
    weights[name] = random_tensor({size}, seed * 1000 + weights.size(), 0.1).add_(1.0);
  };
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const std::int64_t query = config.num_heads * config.head_dim;
  const std::int64_t kv = config.num_kv_heads * config.head_dim;
  matrix("model.embed_tokens.weight", {config.vocab_size, hidden});
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    norm(layer + "input_layernorm.weight", hidden);
    matrix(layer + "self_attn.q_proj.weight", {query, hidden});
    matrix(layer + "self_attn.k_proj.weight", {kv, hidden});
    matrix(layer + "self_attn.v_proj.weight", {kv, hidden});
    matrix(layer + "self_attn.o_proj.weight", {hidden, query});
    if (config.qkv_bias) {
      matrix(layer + "self_attn.q_proj.bias", {query});
      matrix(layer + "self_attn.k_proj.bias", {kv});
      matrix(layer + "self_attn.v_proj.bias", {kv});
    }
    if (config.output_bias) matrix(layer + "self_attn.o_proj.bias", {hidden});
    if (config.qk_norm) {
      norm(layer + "self_attn.q_norm.weight", config.head_dim);
      norm(layer + "self_attn.k_norm.weight", config.head_dim);
    }
    norm(layer + "post_attention_layernorm.weight", hidden);
    matrix(layer + "mlp.gate_proj.weight", {inner, hidden});
    matrix(layer + "mlp.up_proj.weight", {inner, hidden});
    matrix(layer + "mlp.down_proj.weight", {hidden, inner});
  }
  norm("model.norm.weight", hidden);
  if (!config.tie_word_embeddings) matrix("lm_head.weight", {config.vocab_size, hidden});
  return weights;
}

/// `count` random token ids of the config's vocabulary.
inline std::vector<std::int32_t> random_ids(const ModelConfig& config, std::size_t count,
                                            std::uint64_t seed) {
  const RandomStream stream(seed, 1, 0);
  std::vector<std::int32_t> ids(count);
  for (std::size_t i = 0; i < count; ++i) {
    ids[i] =
        static_cast<std::int32_t>(stream.below(i, static_cast<std::uint64_t>(config.vocab_size)));
  }
  return ids;
}

}  // namespace plumb::test
