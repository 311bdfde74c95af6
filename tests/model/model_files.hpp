#pragma once
#include <ATen/ops/randn.h>
#include <c10/core/ScalarType.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "formats/gguf_builder.hpp"
#include "model/weight_names.hpp"

/// Small random models for the tests of model files.
namespace plumb::test {

inline ModelConfig tiny_config(const std::string& model_type = "llama") {
  ModelConfig config;
  config.model_type = model_type;
  config.vocab_size = 40;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.num_layers = 2;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 4;
  config.max_position_embeddings = 64;
  config.qkv_bias = model_type == "qwen2";
  config.qk_norm = model_type == "qwen3";
  config.bos = 1;
  config.eos = {2, 5};
  return config;
}

inline TensorMap random_weights(const ModelConfig& config) {
  TensorMap weights;
  for (const auto& [name, shape] : expected_weights(config)) weights[name] = at::randn(shape);
  return weights;
}

inline void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary);
  out << text;
}

/// Bytes of a contiguous float32 tensor.
inline std::string tensor_bytes(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.contiguous();
  return {static_cast<const char*>(plain.const_data_ptr()), plain.nbytes()};
}

}  // namespace plumb::test
