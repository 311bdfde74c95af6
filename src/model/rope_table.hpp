#pragma once
#include <ATen/core/Tensor.h>

#include <vector>

#include "model/model_config.hpp"

namespace plumb {

/// Cosines and sines of the rotary position embedding, attention factor included.
struct RopeTable {
  at::Tensor cosine, sine;  // [max_position_embeddings, head_dim / 2] float32
};

/// Angular frequency of each pair of a head, radians per position, after the scaling of
/// long-context variants (default, linear, llama3, yarn: the formulas of transformers'
/// modeling_rope_utils; divisors of a GGUF `rope_freqs.weight`). Throws DataError for another type
/// of scaling. @return [head_dim / 2]
std::vector<double> rope_frequencies(const ModelConfig& config);

/// Factor on cosines and sines: 1 but for yarn (Peng et al., arXiv:2309.00071).
double rope_attention_factor(const RopeScaling& scaling);

RopeTable make_rope_table(const ModelConfig& config);

}  // namespace plumb
