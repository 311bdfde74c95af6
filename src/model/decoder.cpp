#include "model/decoder.hpp"

#include <ATen/core/grad_mode.h>

#include "core/error.hpp"
#include "model/decoder_autograd.hpp"
#include "model/decoder_forward.hpp"
#include "model/decoder_weights.hpp"

namespace plumb {

Decoder::Decoder(const ModelConfig& config, const TensorMap& weights, kernels::Precision precision,
                 bool trainable, at::Device device)
    : impl_(build_decoder(config, weights, precision, trainable, device)) {}
Decoder::~Decoder() = default;

const ModelConfig& Decoder::config() const { return impl_->config; }
kernels::Precision Decoder::precision() const { return impl_->precision; }
at::Device Decoder::device() const { return impl_->device; }

at::Tensor Decoder::hidden(const RaggedBatch& batch) const {
  if (impl_->trainable && at::GradMode::is_enabled()) return recorded_hidden(*impl_, batch);
  const at::NoGradGuard no_grad;
  return run_layers(*impl_, batch, nullptr);
}

TokenStats Decoder::token_stats(const at::Tensor& hidden, const TokenRows& rows,
                                const TokenStatsRequest& request) const {
  StatsPass pass{.rows = rows, .request = request};
  if (at::GradMode::is_enabled() && hidden.requires_grad()) {
    expects(impl_->trainable, "a trainable decoder behind recorded hidden states");
    return recorded_token_stats(*impl_, hidden, std::move(pass));
  }
  const at::NoGradGuard no_grad;
  return run_token_stats(*impl_, hidden, pass);
}

TokenStats Decoder::token_stats(const RaggedBatch& batch, const TokenRows& rows,
                                const TokenStatsRequest& request) const {
  return token_stats(hidden(batch), rows, request);
}

at::Tensor Decoder::logits(const at::Tensor& hidden_rows) const {
  const at::NoGradGuard no_grad;
  return impl_->head(hidden_rows, /*float32_output=*/true);
}

std::vector<NamedParameter>& Decoder::parameters() { return impl_->parameters; }

void Decoder::zero_gradients() {
  for (NamedParameter& parameter : impl_->parameters) parameter.gradient.zero_();
}

void Decoder::refresh() {
  expects(impl_->trainable, "a trainable decoder");
  const at::NoGradGuard no_grad;
  repack_masters(*impl_);
}

TensorMap Decoder::weights() const { return weights_by_name(*impl_); }

}  // namespace plumb
