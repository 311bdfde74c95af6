#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "model/model_config.hpp"

namespace plumb {

/// Reads the RoPE fields of a config.json in all their spellings: `rope_theta` with `rope_scaling`
/// (transformers 4) or one `rope_parameters` (transformers 5); `type` is the old name of
/// `rope_type`. Sets rope_theta and rope_scaling. Throws DataError for a type other than default,
/// linear, llama3 and yarn.
void read_rope(const nlohmann::json& json, ModelConfig& config, const std::string& where);

/// Writes both spellings, so that old and new readers find theirs.
/// Throws DataError for frequency divisors that no type describes.
void write_rope(const ModelConfig& config, nlohmann::json& json);

/// Recognises the llama3 scaling behind the divisors of a GGUF file's `rope_freqs.weight` (which
/// keeps only the result) and replaces them by its parameters. Divisors of another origin stay.
void recognise_llama3(ModelConfig& config);

/// Divisors of the llama3 scaling, as `transformers` computes them. @return [head_dim/2]
std::vector<double> llama3_divisors(const RopeScaling& scaling, double theta,
                                    std::int64_t head_dim);

}  // namespace plumb
