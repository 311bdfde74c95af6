#pragma once
#include <vector>

#include "model/decoder_impl.hpp"

namespace plumb {

/// What the backward pass of one layer needs; norms and the activation are recomputed.
struct LayerTape {
  at::Tensor input;  // [N, H] float32 residual stream before the layer
  at::Tensor
      raw_heads;   // [N, (heads + kv_heads) D] q and k before their norm; undefined without qk_norm
  at::Tensor qkv;  // [N, fused width] after the rotary positions
  at::Tensor attended;   // [N, heads D]
  at::Tensor logsumexp;  // [N, heads] float32
  at::Tensor middle;     // [N, H] float32 residual stream after attention
  at::Tensor gate_up;    // [N, 2F]
};

struct Tape {
  RaggedBatch batch;
  std::vector<LayerTape> layers;
  at::Tensor last;  // [N, H] float32 residual stream before the final norm
};

/// Hidden states after the final norm. @param tape filled where not null @return [N, H] compute
/// type
at::Tensor run_layers(const Decoder::Impl& decoder, const RaggedBatch& batch, Tape* tape);

/// Adds the gradients of all weights below the head; consumes the tape.
/// @param dhidden [N, H] gradient of the result of run_layers
void run_layers_backward(const Decoder::Impl& decoder, Tape tape, const at::Tensor& dhidden);

}  // namespace plumb
