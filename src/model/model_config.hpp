#pragma once
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace plumb {

struct RopeScaling {
  std::string type = "default";  // default, linear, llama3, yarn
  double factor = 1.0;
  double low_freq_factor = 1.0, high_freq_factor = 4.0;  // llama3
  double beta_fast = 32.0, beta_slow = 1.0,
         attention_factor = 0.0;           // yarn; 0 = derived from factor
  std::int64_t original_max_position = 0;  // llama3, yarn; 0 = max_position_embeddings
  std::vector<double>
      frequency_divisors;  // [head_dim/2] from a GGUF `rope_freqs.weight`, else empty
};

/// Architecture of a decoder LM of the Llama family. What differs between families is a field here,
/// read by the layers.
struct ModelConfig {
  std::string model_type = "llama";  // llama, mistral, qwen2, qwen3
  std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_layers = 0;
  std::int64_t num_heads = 0, num_kv_heads = 0, head_dim = 0;
  std::int64_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  bool tie_word_embeddings = false;
  bool qkv_bias = false, output_bias = false;  // bias of q,k,v / of o
  bool qk_norm = false;                        // RMSNorm over head_dim on q and k before RoPE
  std::optional<std::int64_t> sliding_window;  // a context longer than this is refused
  std::optional<std::int32_t> bos, pad;
  std::vector<std::int32_t> eos;  // every id that ends a sequence

  /// Reads a Hugging Face config.json (old and new RoPE spellings). Throws DataError for a missing
  /// or unsupported field.
  static ModelConfig from_json(const nlohmann::json& json, const std::string& where);
  /// config.json that `transformers` reads back to the same architecture.
  nlohmann::json to_json(const std::string& torch_dtype) const;
  std::int64_t parameter_count() const;
};

/// Largest sizes that are read; their products stay far inside of 64 bits.
namespace model_limits {
constexpr std::int64_t kVocab = 1 << 24, kWidth = 1 << 20, kLayers = 1 << 12;
constexpr std::int64_t kHeads = 1 << 12, kHeadDim = 1 << 13;
constexpr std::int64_t kContext = std::int64_t{1} << 40;
}  // namespace model_limits

/// Throws DataError unless the sizes fit each other and the family, whatever file the config came
/// from.
void check_model_config(const ModelConfig& model, const std::string& where);

/// `eos_token_id` of a config.json or generation_config.json: a number, a list or absent. Ids
/// outside of the vocabulary are dropped.
std::vector<std::int32_t> eos_token_ids(const nlohmann::json& config, std::int64_t vocab_size,
                                        const std::string& where);

}  // namespace plumb
