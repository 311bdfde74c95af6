#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/checkpoint.hpp"

namespace plumb {

/// Name and shape of every tensor a model of this architecture has, in the names of Hugging Face.
/// A tied model has no `lm_head.weight`.
std::map<std::string, std::vector<std::int64_t>> expected_weights(const ModelConfig& config);

/// Drops what is no weight (rotary buffers of old files, the head of a tied model) and throws one
/// DataError that lists everything that is missing, unexpected, of another shape or of another type
/// than float32, float16 and bfloat16.
void check_weights(const ModelConfig& config, TensorMap& weights, const std::string& where);

}  // namespace plumb
