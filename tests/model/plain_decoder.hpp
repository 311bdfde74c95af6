#pragma once
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "model/checkpoint.hpp"

/// A Llama forward pass in the plainest form, one sequence at a time, differentiated by torch: what
/// the decoder is compared with.
namespace plumb::test {

inline at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  return x * ((x * x).mean(-1, true) + epsilon).rsqrt() * weight;
}

/// x [heads, T, D], angles [T, D/2]
inline at::Tensor plain_rope(const at::Tensor& x, const at::Tensor& angles) {
  const at::Tensor both = at::cat({angles, angles}, -1);
  const std::int64_t half = x.size(2) / 2;
  const at::Tensor turned = at::cat({-x.narrow(2, half, half), x.narrow(2, 0, half)}, 2);
  return x * both.cos() + turned * both.sin();
}

/// Logits of every position. @return [T, V]
inline at::Tensor plain_logits(const ModelConfig& config, const TensorMap& weights,
                               const std::vector<std::int32_t>& ids) {
  const auto length = static_cast<std::int64_t>(ids.size());
  const auto linear = [&](const at::Tensor& x, const std::string& name) {
    const at::Tensor y = at::matmul(x, weights.at(name + ".weight").t());
    const auto bias = weights.find(name + ".bias");
    return bias == weights.end() ? y : y + bias->second;
  };
  const auto split = [&](const at::Tensor& x, std::int64_t heads) {
    return x.view({length, heads, config.head_dim}).transpose(0, 1);
  };
  const std::vector<std::int64_t> long_ids(ids.begin(), ids.end());
  const at::Tensor& embedding = weights.at("model.embed_tokens.weight");
  const at::TensorOptions like = embedding.options().requires_grad(false);
  const at::Tensor pair = at::arange(config.head_dim / 2, like);
  const at::Tensor frequency =
      (pair * (-2.0 * std::log(config.rope_theta) / static_cast<double>(config.head_dim))).exp();
  const at::Tensor angles = at::arange(length, like).unsqueeze(1) * frequency;
  const at::Tensor later = at::ones({length, length}, like.dtype(at::kBool)).triu(1);

  at::Tensor x = embedding.index_select(0, at::tensor(long_ids, at::kLong));
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    const at::Tensor h =
        plain_norm(x, weights.at(layer + "input_layernorm.weight"), config.rms_norm_eps);
    at::Tensor q = split(linear(h, layer + "self_attn.q_proj"), config.num_heads);
    at::Tensor k = split(linear(h, layer + "self_attn.k_proj"), config.num_kv_heads);
    at::Tensor v = split(linear(h, layer + "self_attn.v_proj"), config.num_kv_heads);
    if (config.qk_norm) {
      q = plain_norm(q, weights.at(layer + "self_attn.q_norm.weight"), config.rms_norm_eps);
      k = plain_norm(k, weights.at(layer + "self_attn.k_norm.weight"), config.rms_norm_eps);
    }
    const std::int64_t group = config.num_heads / config.num_kv_heads;
    q = plain_rope(q, angles);
    k = plain_rope(k, angles).repeat_interleave(group, 0);
    v = v.repeat_interleave(group, 0);
    const at::Tensor scores =
        (at::matmul(q, k.transpose(1, 2)) / std::sqrt(static_cast<double>(config.head_dim)))
            .masked_fill(later, -std::numeric_limits<double>::infinity());
    const at::Tensor attended =
        at::matmul(scores.softmax(-1), v).transpose(0, 1).reshape({length, -1});
    x = x + linear(attended, layer + "self_attn.o_proj");
    const at::Tensor m =
        plain_norm(x, weights.at(layer + "post_attention_layernorm.weight"), config.rms_norm_eps);
    const at::Tensor gate = linear(m, layer + "mlp.gate_proj");
    x = x +
        linear(gate * gate.sigmoid() * linear(m, layer + "mlp.up_proj"), layer + "mlp.down_proj");
  }
  x = plain_norm(x, weights.at("model.norm.weight"), config.rms_norm_eps);
  return config.tie_word_embeddings ? at::matmul(x, embedding.t()) : linear(x, "lm_head");
}

/// Log-probs [T, V] of the tokens after `prompt`: row t predicts response token t.
inline at::Tensor plain_response_logprobs(const ModelConfig& config, const TensorMap& weights,
                                          const std::vector<std::int32_t>& prompt,
                                          const std::vector<std::int32_t>& response) {
  std::vector<std::int32_t> ids = prompt;
  ids.insert(ids.end(), response.begin(), response.end());
  return plain_logits(config, weights, ids)
      .narrow(0, static_cast<std::int64_t>(prompt.size()) - 1,
              static_cast<std::int64_t>(response.size()))
      .log_softmax(1);
}

}  // namespace plumb::test
