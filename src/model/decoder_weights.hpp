#pragma once
#include "model/decoder_impl.hpp"

namespace plumb {

/// Builds a decoder from a checkpoint's weights. Throws DataError naming every missing tensor, or
/// one of a wrong shape.
std::unique_ptr<Decoder::Impl> build_decoder(const ModelConfig& config, const TensorMap& weights,
                                             kernels::Precision precision, bool trainable,
                                             at::Device device);

/// Packs the master weights again.
void repack_masters(Decoder::Impl& decoder);

/// Current weights by Hugging Face name, float32.
TensorMap weights_by_name(const Decoder::Impl& decoder);

}  // namespace plumb
