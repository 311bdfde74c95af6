#include "model/token_stats.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.hpp"
#include "kernels/gradient.hpp"
#include "kernels/vocabulary.hpp"

namespace plumb {
namespace {

template <class Body>
void for_chunks(std::int64_t rows, std::int64_t chunk, const Body& body) {
  for (std::int64_t first = 0; first < rows; first += chunk) {
    body(first, std::min(chunk, rows - first));
  }
}

void check(const Decoder::Impl& decoder, const at::Tensor& hidden, const StatsPass& pass) {
  const TokenStatsRequest& request = pass.request;
  expects(hidden.dim() == 2 && hidden.size(1) == decoder.config.hidden_size, "hidden rows [N, H]");
  expects(request.reference_hidden.defined() == (request.reference != nullptr),
          "a reference model together with its hidden rows");
  if (request.reference == nullptr) return;
  if (request.reference->config().vocab_size != decoder.config.vocab_size) {
    throw DataError(cat("the reference model has a vocabulary of ",
                        request.reference->config().vocab_size, ", the policy of ",
                        decoder.config.vocab_size, "; a KL term needs equal vocabularies"));
  }
  expects(request.reference_hidden.size(0) == pass.rows.rows.size(0), "a reference row a target");
}

at::Tensor column(const Decoder::Impl& decoder, bool wanted, std::int64_t rows) {
  if (!wanted) return {};
  return at::empty({rows}, at::TensorOptions().dtype(at::kFloat).device(decoder.device));
}

void put(const at::Tensor& to, std::int64_t first, const at::Tensor& values) {
  if (to.defined()) to.narrow(0, first, values.size(0)).copy_(values);
}

at::Tensor reference_logits(const StatsPass& pass, std::int64_t first, std::int64_t count) {
  return pass.request.reference->impl().head(pass.request.reference_hidden.narrow(0, first, count),
                                             /*float32_output=*/true);
}

}  // namespace

TokenStats run_token_stats(const Decoder::Impl& decoder, const at::Tensor& hidden,
                           StatsPass& pass) {
  check(decoder, hidden, pass);
  const TokenStatsRequest& request = pass.request;
  const bool with_kl = request.reference != nullptr;
  const std::int64_t rows = pass.rows.rows.size(0);
  TokenStats stats{column(decoder, true, rows), column(decoder, with_kl, rows),
                   column(decoder, request.entropy, rows),
                   column(decoder, request.square_logsum, rows)};
  pass.logsumexp = column(decoder, true, rows);
  pass.reference_logsumexp = column(decoder, with_kl, rows);
  for_chunks(rows, pass.chunk_rows, [&](std::int64_t first, std::int64_t count) {
    const at::Tensor targets = pass.rows.targets.narrow(0, first, count);
    const at::Tensor logits = decoder.head(
        hidden.index_select(0, pass.rows.rows.narrow(0, first, count)), /*float32_output=*/true);
    const auto chunk =
        kernels::logit_statistics(logits, targets, request.entropy, request.square_logsum);
    put(stats.logprobs, first, chunk.logprobs);
    put(pass.logsumexp, first, chunk.logsumexp);
    put(stats.entropy, first, chunk.entropy);
    put(stats.square_logsum, first, chunk.square_logsum);
    if (!with_kl) return;
    const at::Tensor reference = reference_logits(pass, first, count);
    const at::Tensor total = kernels::logit_statistics(reference, targets, false, false).logsumexp;
    put(pass.reference_logsumexp, first, total);
    put(stats.kl, first, kernels::kl_divergence(reference, total, logits, chunk.logsumexp));
  });
  return stats;
}

at::Tensor run_token_stats_backward(const Decoder::Impl& decoder, const at::Tensor& hidden,
                                    const StatsPass& pass, const at::Tensor& dlogprobs,
                                    const at::Tensor& dkl) {
  const std::int64_t rows = pass.rows.rows.size(0);
  const at::Tensor dlogprob = dlogprobs.defined() ? dlogprobs.to(at::kFloat).contiguous()
                                                  : at::zeros({rows}, pass.logsumexp.options());
  const at::Tensor dkl_rows = dkl.defined() ? dkl.to(at::kFloat).contiguous() : dkl;
  at::Tensor dhidden = at::zeros(hidden.sizes(), hidden.options().dtype(at::kFloat));
  for_chunks(rows, pass.chunk_rows, [&](std::int64_t first, std::int64_t count) {
    const auto part = [&](const at::Tensor& values) {
      return values.defined() ? values.narrow(0, first, count) : values;
    };
    const at::Tensor at_rows = part(pass.rows.rows), chunk = hidden.index_select(0, at_rows);
    const at::Tensor reference =
        dkl.defined() ? reference_logits(pass, first, count) : at::Tensor();
    const at::Tensor dlogits = kernels::logit_gradient(
        decoder.head(chunk, /*float32_output=*/true), part(pass.logsumexp), part(pass.rows.targets),
        part(dlogprob), part(dkl_rows), reference, part(pass.reference_logsumexp), decoder.compute);
    kernels::accumulate_weight_gradient(decoder.head.gradient, dlogits, chunk, decoder.precision);
    dhidden.index_add_(
        0, at_rows, kernels::linear(dlogits, decoder.head.backward, {}, /*float32_output=*/true));
  });
  return dhidden.to(hidden.scalar_type());
}

}  // namespace plumb
