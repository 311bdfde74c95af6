#include "model/decoder_forward.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>

#include "core/error.hpp"
#include "kernels/elementwise.hpp"

namespace plumb {
namespace {

/// RMSNorm of each of `heads` heads from column `first` of fused rows, in place.
void norm_heads(at::Tensor& qkv, std::int64_t first, std::int64_t heads, const NormWeights& norm,
                double epsilon) {
  const std::int64_t width = norm.weight.size(0);
  at::Tensor columns = qkv.narrow(1, first, heads * width);
  const at::Tensor rows = columns.to(at::kFloat).reshape({-1, width});
  columns.copy_(
      kernels::rms_norm(rows, norm.weight, epsilon, qkv.scalar_type()).view(columns.sizes()));
}

void check_lengths(const Decoder::Impl& decoder, const RaggedBatch& batch) {
  for (std::int64_t s = 0; s < batch.segments(); ++s) {
    const std::int64_t before = batch.prefix[s] < 0 ? 0 : batch.length(batch.prefix[s]);
    decoder.check_length(before + batch.length(s));
  }
}

}  // namespace

void Decoder::Impl::check_length(std::int64_t tokens) const {
  if (tokens > config.max_position_embeddings) {
    throw DataError(cat("a sequence of ", tokens, " tokens is longer than the model's ",
                        config.max_position_embeddings, " positions; shorten prompt or response"));
  }
  if (config.sliding_window && tokens > *config.sliding_window) {
    throw DataError(
        cat("a sequence of ", tokens, " tokens is longer than the model's sliding window of ",
            *config.sliding_window, ", which is not supported; shorten prompt or response"));
  }
}

at::Tensor Decoder::Impl::embed(const at::Tensor& ids) const {
  if (ids.numel() > 0) {
    const std::int64_t lowest = ids.min().item<std::int64_t>(),
                       highest = ids.max().item<std::int64_t>();
    if (lowest < 0 || highest >= config.vocab_size) {
      throw DataError(cat("token id ", lowest < 0 ? lowest : highest,
                          " is outside the model's vocabulary of ", config.vocab_size,
                          "; were the ids made by another tokenizer?"));
    }
  }
  return embedding.index_select(0, ids).to(compute).to(at::kFloat);
}

void Decoder::Impl::place_queries_and_keys(at::Tensor& qkv, const DecoderLayer& layer,
                                           const at::Tensor& positions) const {
  if (layer.query_norm.weight.defined()) {
    norm_heads(qkv, 0, config.num_heads, layer.query_norm, config.rms_norm_eps);
    norm_heads(qkv, attention.query_width(), config.num_kv_heads, layer.key_norm,
               config.rms_norm_eps);
  }
  kernels::rope(qkv, positions, rope.cosine, rope.sine, config.num_heads + config.num_kv_heads);
}

at::Tensor run_layers(const Decoder::Impl& decoder, const RaggedBatch& batch, Tape* tape) {
  check_lengths(decoder, batch);
  const double epsilon = decoder.config.rms_norm_eps;
  at::Tensor residual = decoder.embed(batch.ids);
  at::Tensor normed = kernels::rms_norm(residual, decoder.layers.front().input_norm.weight, epsilon,
                                        decoder.compute);
  // The residual stream is kept at each norm when recording, and updated in place otherwise.
  const auto add = [&](const at::Tensor& delta, const NormWeights& next) {
    at::Tensor sum = tape != nullptr ? at::empty_like(residual) : residual;
    normed = kernels::add_rms_norm(residual, delta, sum, next.weight, epsilon, decoder.compute);
    residual = sum;
  };
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) {
    const DecoderLayer& layer = decoder.layers[i];
    LayerTape record;
    record.input = residual;
    record.qkv = layer.qkv(normed);
    if (tape != nullptr && layer.query_norm.weight.defined()) {
      const auto& shape = decoder.attention;
      record.raw_heads = record.qkv.narrow(1, 0, shape.query_width() + shape.kv_width()).clone();
    }
    decoder.place_queries_and_keys(record.qkv, layer, batch.positions);
    record.attended = kernels::attention(record.qkv, batch, decoder.attention,
                                         tape != nullptr ? &record.logsumexp : nullptr);
    add(layer.output(record.attended), layer.post_norm);
    record.middle = residual;
    record.gate_up = layer.gate_up(normed);
    const bool last = i + 1 == decoder.layers.size();
    add(layer.down(kernels::swiglu(record.gate_up)),
        last ? decoder.final_norm : decoder.layers[i + 1].input_norm);
    if (tape != nullptr) tape->layers.push_back(std::move(record));
  }
  if (tape != nullptr) {
    tape->batch = batch;
    tape->last = residual;
  }
  return normed;
}

}  // namespace plumb
