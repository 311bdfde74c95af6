#pragma once
#include <filesystem>

#include "formats/gguf_header.hpp"
#include "model/checkpoint.hpp"

namespace plumb {

/// What a GGUF file of a supported architecture (llama, qwen2, qwen3) holds.
struct GgufModel {
  ModelConfig config;
  TensorMap weights;  // float32, Hugging Face names, q/k rows in Hugging Face order
  GgufVocabulary vocabulary;
  std::string chat_template;  // Jinja, "" if there is none
};

/// Reads a whole GGUF file; blocks are dequantised on all cores. Throws DataError.
GgufModel read_gguf(const std::filesystem::path& file);
/// The same from the bytes of a file. @param where  file name for the error texts
GgufModel read_gguf(std::span<const std::byte> file, const std::string& where);

/// Architecture of a GGUF file: its metadata, and which tensors it has. Throws DataError.
/// @param rope_divisors  values of `rope_freqs.weight`, empty if there is none
ModelConfig gguf_model_config(const GgufHeader& header, const std::vector<double>& rope_divisors);

/// `tokenizer.ggml.*` of the metadata. Throws DataError if there is no vocabulary.
GgufVocabulary gguf_vocabulary(const GgufMetadata& metadata);

}  // namespace plumb
