#include <ATen/ops/index_add.h>
#include <ATen/ops/zeros_like.h>

#include "kernels/elementwise.hpp"
#include "kernels/gradient.hpp"
#include "model/decoder_forward.hpp"

namespace plumb {
namespace {

/// Adds the layer's weight (and bias) gradient. @return the gradient of its input, compute type
at::Tensor linear_backward(const LinearWeights& linear, const at::Tensor& dy, const at::Tensor& x,
                           kernels::Precision precision) {
  kernels::accumulate_weight_gradient(linear.gradient, dy, x, precision);
  if (linear.bias_gradient.defined()) linear.bias_gradient.add_(dy.sum(0, false, at::kFloat));
  return kernels::linear(dy, linear.backward);
}

/// Gradient through norm_heads: replaces the gradient of the normed heads by that of the raw ones.
void heads_backward(at::Tensor dcolumns, const at::Tensor& raw, const NormWeights& norm,
                    double epsilon) {
  const std::int64_t width = norm.weight.size(0);
  const at::Tensor x = raw.to(at::kFloat).reshape({-1, width});
  at::Tensor dx = at::zeros_like(x);
  kernels::rms_norm_backward(dcolumns.reshape({-1, width}), x, norm.weight, epsilon, dx,
                             norm.gradient);
  dcolumns.copy_(dx.view(dcolumns.sizes()));
}

void queries_and_keys_backward(const Decoder::Impl& decoder, const DecoderLayer& layer,
                               const LayerTape& record, const at::Tensor& positions,
                               at::Tensor& dqkv) {
  const ModelConfig& config = decoder.config;
  kernels::rope(dqkv, positions, decoder.rope.cosine, decoder.rope.sine,
                config.num_heads + config.num_kv_heads, /*inverse=*/true);
  if (!record.raw_heads.defined()) return;
  const std::int64_t query = decoder.attention.query_width(), key = decoder.attention.kv_width();
  heads_backward(dqkv.narrow(1, 0, query), record.raw_heads.narrow(1, 0, query), layer.query_norm,
                 config.rms_norm_eps);
  heads_backward(dqkv.narrow(1, query, key), record.raw_heads.narrow(1, query, key), layer.key_norm,
                 config.rms_norm_eps);
}

/// @param dresidual gradient of the residual stream after the layer; becomes the one before it
void layer_backward(const Decoder::Impl& decoder, const DecoderLayer& layer,
                    const LayerTape& record, const RaggedBatch& batch, at::Tensor& dresidual) {
  const double epsilon = decoder.config.rms_norm_eps;
  const auto backward = [&](const LinearWeights& linear, const at::Tensor& dy,
                            const at::Tensor& x) {
    return linear_backward(linear, dy, x, decoder.precision);
  };
  const at::Tensor dactivation =
      backward(layer.down, dresidual.to(decoder.compute), kernels::swiglu(record.gate_up));
  const at::Tensor dmiddle =
      backward(layer.gate_up, kernels::swiglu_backward(dactivation, record.gate_up),
               kernels::rms_norm(record.middle, layer.post_norm.weight, epsilon, decoder.compute));
  kernels::rms_norm_backward(dmiddle, record.middle, layer.post_norm.weight, epsilon, dresidual,
                             layer.post_norm.gradient);

  const at::Tensor dattended =
      backward(layer.output, dresidual.to(decoder.compute), record.attended);
  at::Tensor dqkv = kernels::attention_backward(dattended, record.qkv, record.attended,
                                                record.logsumexp, batch, decoder.attention);
  queries_and_keys_backward(decoder, layer, record, batch.positions, dqkv);
  const at::Tensor dinput =
      backward(layer.qkv, dqkv,
               kernels::rms_norm(record.input, layer.input_norm.weight, epsilon, decoder.compute));
  kernels::rms_norm_backward(dinput, record.input, layer.input_norm.weight, epsilon, dresidual,
                             layer.input_norm.gradient);
}

}  // namespace

void run_layers_backward(const Decoder::Impl& decoder, Tape tape, const at::Tensor& dhidden) {
  at::Tensor dresidual = at::zeros_like(tape.last);
  kernels::rms_norm_backward(dhidden.contiguous(), tape.last, decoder.final_norm.weight,
                             decoder.config.rms_norm_eps, dresidual, decoder.final_norm.gradient);
  for (std::size_t i = decoder.layers.size(); i-- > 0;) {
    layer_backward(decoder, decoder.layers[i], tape.layers[i], tape.batch, dresidual);
    tape.layers.pop_back();
  }
  decoder.embedding_gradient.index_add_(0, tape.batch.ids, dresidual);
}

}  // namespace plumb
