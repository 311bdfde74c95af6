#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "model/model_config.hpp"
#include "text/chat_template.hpp"
#include "text/tokenizer.hpp"

namespace plumb {

/// Weights by their Hugging Face names (`model.layers.0.self_attn.q_proj.weight`, ...), row-major
/// [out, in].
using TensorMap = std::map<std::string, at::Tensor>;

/// Everything a policy folder or a GGUF file holds.
struct Checkpoint {
  std::filesystem::path source;
  ModelConfig config;
  TensorMap
      weights;  // as stored; GGUF blocks are dequantised to float32, q/k rows in Hugging Face order
  std::shared_ptr<const Tokenizer> tokenizer;
  std::string chat_template_jinja;  // "" if the model has none
};

/// Resolves what a user may write for a model: a Hugging Face folder, a `.gguf` file, a folder that
/// holds one, or a hub id that is in the local Hugging Face cache. Throws DataError saying what was
/// tried, and which command downloads a hub id.
std::filesystem::path resolve_model(const std::string& model);

/// SHA-256 in hexadecimal that identifies a model's weights: of the .gguf file, of
/// model.safetensors, or of all shards in the order of their names.
/// @param resolved  what resolve_model returned
std::string hash_of_weights(const std::filesystem::path& resolved);

/// Loads a decoder LM. Throws DataError (missing file, unknown architecture, missing or unexpected
/// tensors listed together, ...).
Checkpoint load_checkpoint(const std::string& model);

/// Writes a Hugging Face folder: config.json, model.safetensors, generation_config.json, tokenizer
/// files. The folder appears whole or not at all (written beside it, flushed, renamed). Weights are
/// stored in `dtype`.
/// @return SHA-256 of model.safetensors in hexadecimal
std::string save_checkpoint(const Checkpoint& checkpoint, const std::filesystem::path& folder,
                            at::ScalarType dtype);

}  // namespace plumb
