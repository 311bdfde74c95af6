#pragma once
#include <filesystem>
#include <string>

#include "model/checkpoint.hpp"

namespace plumb {

/// All tensors of one safetensors file, copied out of the mapped file (its bytes need not be
/// aligned). Throws DataError for a file that parse_safetensors_header refuses.
TensorMap read_safetensors(const std::filesystem::path& file);

/// All tensors of a Hugging Face folder: `model.safetensors`, or else the shards of
/// `model.safetensors.index.json`, each of which must hold what the index maps to it; no tensor may
/// be in two shards. Throws DataError.
TensorMap read_safetensors_folder(const std::filesystem::path& folder);

/// "; its pytorch_model.bin is not read because ..." for the error about a folder without weights,
/// or "".
std::string pickle_hint(const std::filesystem::path& folder);

/// Writes a file as the reference library writes it (order, padded header, metadata {"format":
/// "pt"}), tensor by tensor; the file appears whole or not at all. @param dtype  float64, float32,
/// float16 or bfloat16, for every tensor
/// @return SHA-256 of the file, hexadecimal
std::string write_safetensors(const std::filesystem::path& file, const TensorMap& tensors,
                              at::ScalarType dtype);

}  // namespace plumb
