#pragma once
#include "model/decoder_impl.hpp"
#include "model/token_stats.hpp"

/// The two nodes a decoder adds to torch's graph: everything below the head, and the log-prob pass.
/// Weight gradients are added to the decoder's own buffers; the decoder must outlive the graph.
namespace plumb {

/// run_layers, recorded. @return [N, H] that requires grad
at::Tensor recorded_hidden(const Decoder::Impl& decoder, const RaggedBatch& batch);

/// run_token_stats, recorded: logprobs and kl carry gradients.
TokenStats recorded_token_stats(const Decoder::Impl& decoder, const at::Tensor& hidden,
                                StatsPass pass);

}  // namespace plumb
