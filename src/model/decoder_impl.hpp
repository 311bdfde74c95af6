#pragma once
#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "kernels/attention.hpp"
#include "kernels/kernels.hpp"
#include "model/decoder.hpp"
#include "model/rope_table.hpp"

/// The inside of a Decoder, shared by the full forward, its backward and cached decoding.
///
/// Numerics, the same wherever the model runs. "Compute type" is bfloat16 or float32:
///   residual stream float32; RMSNorm in float32, rounded to the compute type; linear layers take
///   and give the compute type with float32 sums; optional RMSNorm of q and k heads and then RoPE
///   in float32 on rounded values, rounded again; attention scores and softmax float32, output in
///   the compute type; o and down are added to the float32 residual; silu(gate) * up in float32,
///   rounded; the embedding is rounded to the compute type; logits are float32 sums of the rounded
///   final norm.
namespace plumb {

/// A linear layer, or several fused along their outputs (q|k|v, gate|up).
struct LinearWeights {
  kernels::PackedWeight forward;  // y = x W^T + bias
  at::Tensor bias;                // [N] float32 or undefined
  // Trainable models only:
  kernels::PackedWeight backward;  // dx = dy W
  at::Tensor master, gradient;     // [N, K] float32
  at::Tensor bias_gradient;        // [N] float32 or undefined

  at::Tensor operator()(const at::Tensor& x, bool float32_output = false) const {
    return kernels::linear(x, forward, bias, float32_output);
  }
};

struct NormWeights {
  at::Tensor weight;    // float32; undefined: no norm here
  at::Tensor gradient;  // trainable models only
};

struct DecoderLayer {
  NormWeights input_norm;            // [H]
  LinearWeights qkv;                 // [(heads + 2 kv_heads) D, H]
  NormWeights query_norm, key_norm;  // [D]; undefined without qk_norm
  LinearWeights output;              // [H, heads D]
  NormWeights post_norm;             // [H]
  LinearWeights gate_up;             // [2F, H]
  LinearWeights down;                // [H, F]
};

/// Where a tensor of the checkpoint lives: rows of a linear layer, or a tensor of its own.
struct WeightPlace {
  std::string name;
  const LinearWeights* linear = nullptr;
  std::int64_t first_row = 0, rows = 0;
  at::Tensor tensor;  // where linear is null
};

struct Decoder::Impl {
  ModelConfig config;
  kernels::Precision precision = kernels::Precision::kFloat32;  // after the fallback
  at::Device device = at::kCPU;
  at::ScalarType compute = at::kFloat;
  bool trainable = false;

  at::Tensor embedding;           // [V, H] compute type, or the float32 master
  at::Tensor embedding_gradient;  // the head's gradient when tied
  std::vector<DecoderLayer> layers;
  NormWeights final_norm;
  LinearWeights head;  // [V, H]
  RopeTable rope;
  kernels::AttentionShape attention;

  std::vector<WeightPlace> places;
  std::vector<NamedParameter> parameters;
  at::Tensor anchor;  // a leaf that requires grad: what the recorded graph hangs on; undefined
                      // unless trainable

  /// Residual stream of token ids. @param ids [N] int64 @return [N, H] float32. Throws DataError
  /// for an id outside the vocabulary.
  at::Tensor embed(const at::Tensor& ids) const;
  /// Norms (qk_norm) and rotates the q and k heads of fused rows in place. @param qkv [N, fused
  /// width] @param positions [N]
  void place_queries_and_keys(at::Tensor& qkv, const DecoderLayer& layer,
                              const at::Tensor& positions) const;
  /// Throws DataError when a sequence of so many tokens is longer than the model can take.
  void check_length(std::int64_t tokens) const;
};

}  // namespace plumb
