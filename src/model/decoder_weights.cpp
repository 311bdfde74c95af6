#include "model/decoder_weights.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <utility>

#include "core/error.hpp"

namespace plumb {
namespace {

using kernels::PackedWeight;
using kernels::Precision;

/// Takes tensors out of a checkpoint and remembers where they went.
class Builder {
 public:
  Builder(Decoder::Impl& decoder, const TensorMap& weights)
      : decoder_(decoder), weights_(weights) {}

  at::Tensor take(const std::string& name, at::IntArrayRef shape) {
    const auto found = weights_.find(name);
    if (found == weights_.end()) {
      missing_ += missing_.empty() ? name : ", " + name;
      return at::zeros(shape, at::kFloat);
    }
    if (found->second.sizes() != shape) {
      throw DataError(cat("weight \"", name, "\" has shape ", found->second.sizes(), ", expected ",
                          shape, " from the model's config"));
    }
    return found->second;
  }

  NormWeights norm(const std::string& name, std::int64_t size) {
    NormWeights norm;
    norm.weight = own_float32(take(name, {size}));
    norm.gradient = register_tensor(name, norm.weight);
    return norm;
  }

  /// Several matrices [rows_i, inputs] stacked into one layer, named `prefix + name + ".weight"`.
  void linear(LinearWeights& layer, const std::string& prefix,
              const std::vector<std::pair<std::string, std::int64_t>>& parts, std::int64_t inputs,
              bool bias) {
    std::vector<at::Tensor> matrices, biases;
    for (const auto& [name, rows] : parts) {
      matrices.push_back(take(prefix + name + ".weight", {rows, inputs}));
      if (bias) biases.push_back(take(prefix + name + ".bias", {rows}));
    }
    set_matrix(layer, matrices.size() == 1 ? matrices.front() : at::cat(matrices));
    if (bias) {
      layer.bias = own_float32(at::cat(biases));
      if (decoder_.trainable) layer.bias_gradient = at::zeros_like(layer.bias);
    }
    std::int64_t first = 0;
    for (const auto& [name, rows] : parts) {
      register_rows(prefix + name + ".weight", layer, first, rows);
      if (bias) register_bias(prefix + name + ".bias", layer, first, rows);
      first += rows;
    }
  }

  void set_matrix(LinearWeights& layer, const at::Tensor& matrix) {
    if (!decoder_.trainable) {
      layer.forward = PackedWeight(matrix.to(decoder_.device).contiguous(), decoder_.precision);
      return;
    }
    layer.master = own_float32(matrix);
    layer.gradient = at::zeros_like(layer.master);
    layer.forward = PackedWeight(layer.master, decoder_.precision);
    layer.backward = PackedWeight::transposed(layer.master, decoder_.precision);
  }

  void register_rows(const std::string& name, const LinearWeights& layer, std::int64_t first,
                     std::int64_t rows) {
    decoder_.places.push_back({name, &layer, first, rows, {}});
    if (!decoder_.trainable) return;
    decoder_.parameters.push_back(
        {name, layer.master.narrow(0, first, rows), layer.gradient.narrow(0, first, rows)});
  }

  /// Registers a float32 tensor of its own. @return its gradient, undefined unless trainable
  at::Tensor register_tensor(const std::string& name, const at::Tensor& tensor) {
    decoder_.places.push_back({name, nullptr, 0, 0, tensor});
    if (!decoder_.trainable) return {};
    at::Tensor gradient = at::zeros_like(tensor);
    decoder_.parameters.push_back({name, tensor, gradient});
    return gradient;
  }

  void check_missing() const {
    if (!missing_.empty()) throw DataError("weights missing in the checkpoint: " + missing_);
  }

 private:
  /// A contiguous float32 copy on the model's device that shares no memory with the checkpoint.
  at::Tensor own_float32(const at::Tensor& tensor) const {
    return tensor.to(decoder_.device, at::kFloat, /*non_blocking=*/false, /*copy=*/true)
        .contiguous();
  }

  void register_bias(const std::string& name, const LinearWeights& layer, std::int64_t first,
                     std::int64_t rows) {
    const at::Tensor bias = layer.bias.narrow(0, first, rows);
    decoder_.places.push_back({name, nullptr, 0, 0, bias});
    if (!decoder_.trainable) return;
    decoder_.parameters.push_back({name, bias, layer.bias_gradient.narrow(0, first, rows)});
  }

  Decoder::Impl& decoder_;
  const TensorMap& weights_;
  std::string missing_;
};

void build_layer(Builder& builder, const ModelConfig& config, DecoderLayer& layer,
                 const std::string& prefix) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t query = config.num_heads * config.head_dim;
  const std::int64_t kv = config.num_kv_heads * config.head_dim;
  layer.input_norm = builder.norm(prefix + "input_layernorm.weight", hidden);
  builder.linear(layer.qkv, prefix + "self_attn.",
                 {{"q_proj", query}, {"k_proj", kv}, {"v_proj", kv}}, hidden, config.qkv_bias);
  if (config.qk_norm) {
    layer.query_norm = builder.norm(prefix + "self_attn.q_norm.weight", config.head_dim);
    layer.key_norm = builder.norm(prefix + "self_attn.k_norm.weight", config.head_dim);
  }
  builder.linear(layer.output, prefix + "self_attn.", {{"o_proj", hidden}}, query,
                 config.output_bias);
  layer.post_norm = builder.norm(prefix + "post_attention_layernorm.weight", hidden);
  const std::int64_t inner = config.intermediate_size;
  builder.linear(layer.gate_up, prefix + "mlp.", {{"gate_proj", inner}, {"up_proj", inner}}, hidden,
                 false);
  builder.linear(layer.down, prefix + "mlp.", {{"down_proj", hidden}}, inner, false);
}

void build_embedding(Builder& builder, Decoder::Impl& decoder) {
  const std::int64_t vocabulary = decoder.config.vocab_size, hidden = decoder.config.hidden_size;
  const std::string name = "model.embed_tokens.weight";
  const at::Tensor values = builder.take(name, {vocabulary, hidden});
  if (decoder.config.tie_word_embeddings) {
    builder.set_matrix(decoder.head, values);
    builder.register_rows(name, decoder.head, 0, vocabulary);
    decoder.embedding_gradient = decoder.head.gradient;
    decoder.embedding = decoder.trainable ? decoder.head.master
                                          : values.to(decoder.device, decoder.compute).contiguous();
  } else {
    const at::ScalarType type = decoder.trainable ? at::kFloat : decoder.compute;
    decoder.embedding =
        values.to(decoder.device, type, /*non_blocking=*/false, /*copy=*/true).contiguous();
    decoder.embedding_gradient = builder.register_tensor(name, decoder.embedding);
  }
}

void check_shape(const ModelConfig& config) {
  const bool sound = config.vocab_size > 0 && config.hidden_size > 0 &&
                     config.intermediate_size > 0 && config.num_layers > 0 &&
                     config.num_heads > 0 && config.num_kv_heads > 0 && config.head_dim > 0 &&
                     config.max_position_embeddings > 0;
  if (!sound) throw DataError("the model's config has a size that is not positive");
  if (config.num_heads % config.num_kv_heads != 0 || config.head_dim % 2 != 0) {
    throw DataError(cat("the model's config has ", config.num_heads, " heads, ",
                        config.num_kv_heads, " key heads of width ", config.head_dim,
                        "; expected a multiple of the key heads and an even width"));
  }
}

}  // namespace

std::unique_ptr<Decoder::Impl> build_decoder(const ModelConfig& config, const TensorMap& weights,
                                             Precision precision, bool trainable,
                                             at::Device device) {
  check_shape(config);
  auto decoder = std::make_unique<Decoder::Impl>();
  decoder->config = config;
  const bool half =
      precision == Precision::kBFloat16 && (!device.is_cpu() || kernels::has_native_bfloat16());
  decoder->precision = half ? Precision::kBFloat16 : Precision::kFloat32;
  decoder->compute = half ? at::kBFloat16 : at::kFloat;
  decoder->device = device;
  decoder->trainable = trainable;
  decoder->attention = {config.num_heads, config.num_kv_heads, config.head_dim,
                        1.0 / std::sqrt(static_cast<double>(config.head_dim))};
  decoder->rope = make_rope_table(config);
  decoder->rope.cosine = decoder->rope.cosine.to(device);
  decoder->rope.sine = decoder->rope.sine.to(device);

  Builder builder(*decoder, weights);
  build_embedding(builder, *decoder);
  decoder->layers.resize(static_cast<std::size_t>(config.num_layers));
  for (std::size_t i = 0; i < decoder->layers.size(); ++i) {
    build_layer(builder, config, decoder->layers[i], cat("model.layers.", i, "."));
  }
  decoder->final_norm = builder.norm("model.norm.weight", config.hidden_size);
  if (!config.tie_word_embeddings) {
    builder.linear(decoder->head, "", {{"lm_head", config.vocab_size}}, config.hidden_size, false);
  }
  builder.check_missing();
  if (trainable) {
    decoder->anchor = at::zeros({1}, at::kFloat);
    decoder->anchor.requires_grad_(true);
  }
  return decoder;
}

void repack_masters(Decoder::Impl& decoder) {
  const auto repack = [](LinearWeights& linear) {
    linear.forward.repack(linear.master);
    linear.backward.repack(linear.master);
  };
  repack(decoder.head);
  for (DecoderLayer& layer : decoder.layers) {
    repack(layer.qkv);
    repack(layer.output);
    repack(layer.gate_up);
    repack(layer.down);
  }
}

TensorMap weights_by_name(const Decoder::Impl& decoder) {
  TensorMap weights;
  for (const WeightPlace& place : decoder.places) {
    if (place.linear == nullptr) {
      weights[place.name] = place.tensor.to(at::kFloat);
      continue;
    }
    const LinearWeights& linear = *place.linear;
    const at::Tensor matrix = linear.master.defined() ? linear.master : linear.forward.unpacked();
    weights[place.name] = matrix.narrow(0, place.first_row, place.rows);
  }
  return weights;
}

}  // namespace plumb
