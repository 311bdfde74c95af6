#include "model/token_stats.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.hpp"
#include "kernels/gradient.hpp"
#include "kernels/vocabulary.hpp"

namespace plumb {
namespace {

using kernels::LogitStatistics;

/// Calls body(first, count) for pieces of at most `piece`.
template <class Body>
void for_pieces(std::int64_t size, std::int64_t piece, const Body& body) {
  for (std::int64_t first = 0; first < size; first += piece) {
    body(first, std::min(piece, size - first));
  }
}

/// Elsewhere than on a CPU fewer, larger kernels pay, and there is no cache to stay in.
std::int64_t block_words(const Decoder::Impl& decoder) {
  return decoder.device.is_cpu() ? kStatsBlockWords : decoder.config.vocab_size;
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

/// Hidden rows of the reference model that belong to a chunk; undefined without a reference.
at::Tensor reference_rows(const StatsPass& pass, std::int64_t first, std::int64_t count) {
  const at::Tensor& hidden = pass.request.reference_hidden;
  return hidden.defined() ? hidden.narrow(0, first, count) : hidden;
}

at::Tensor reference_logits(const StatsPass& pass, const at::Tensor& hidden, std::int64_t word,
                            std::int64_t words) {
  if (!hidden.defined()) return {};
  return kernels::linear_outputs(hidden, pass.request.reference->impl().head.forward, word, words);
}

}  // namespace

TokenStats run_token_stats(const Decoder::Impl& decoder, const at::Tensor& hidden,
                           StatsPass& pass) {
  check(decoder, hidden, pass);
  const TokenStatsRequest& request = pass.request;
  const bool with_kl = request.reference != nullptr;
  const std::int64_t rows = pass.rows.rows.size(0);
  TokenStats stats{column(decoder, true, rows),
                   column(decoder, with_kl, rows),
                   column(decoder, request.entropy, rows),
                   column(decoder, request.square_logsum, rows),
                   column(decoder, request.mean_logit, rows),
                   column(decoder, request.is_top, rows)};
  pass.logsumexp = column(decoder, true, rows);
  pass.reference_logsumexp = column(decoder, with_kl, rows);
  for_pieces(rows, pass.chunk_rows, [&](std::int64_t first, std::int64_t count) {
    const at::Tensor targets = pass.rows.targets.narrow(0, first, count);
    const at::Tensor chunk = hidden.index_select(0, pass.rows.rows.narrow(0, first, count));
    const at::Tensor reference = reference_rows(pass, first, count);
    LogitStatistics policy = kernels::start_statistics(count, decoder.device,
                                                       {.entropy = request.entropy,
                                                        .square_logsum = request.square_logsum,
                                                        .mean_logit = request.mean_logit});
    LogitStatistics other =
        kernels::start_statistics(count, decoder.device, {.divergence = with_kl});
    for_pieces(decoder.config.vocab_size, block_words(decoder),
               [&](std::int64_t word, std::int64_t words) {
                 const at::Tensor logits =
                     kernels::linear_outputs(chunk, decoder.head.forward, word, words);
                 kernels::add_logits(policy, logits, word, targets);
                 if (with_kl) {
                   kernels::add_logits(other, reference_logits(pass, reference, word, words), word,
                                       targets, logits);
                 }
               });
    const auto put = [&](const at::Tensor& to, const at::Tensor& values) {
      to.narrow(0, first, count).copy_(values);
    };
    put(stats.logprobs, policy.logprobs());
    put(pass.logsumexp, policy.logsumexp());
    if (request.entropy) put(stats.entropy, policy.entropy());
    if (request.square_logsum) put(stats.square_logsum, policy.square_logsum());
    if (request.mean_logit) put(stats.mean_logit, policy.mean_logit(decoder.config.vocab_size));
    if (request.is_top) put(stats.is_top, policy.is_top());
    if (!with_kl) return;
    put(stats.kl, other.divergence_from(policy));
    put(pass.reference_logsumexp, other.logsumexp());
  });
  return stats;
}

at::Tensor run_token_stats_backward(const Decoder::Impl& decoder, const at::Tensor& hidden,
                                    const StatsPass& pass, const at::Tensor& dlogprobs,
                                    const at::Tensor& dkl) {
  const std::int64_t rows = pass.rows.rows.size(0);
  const auto float_column = [&](const at::Tensor& values) {
    return values.defined() ? values.to(at::kFloat).contiguous()
                            : at::zeros({rows}, pass.logsumexp.options());
  };
  const at::Tensor dlogprob = float_column(dlogprobs);
  const at::Tensor dkl_column = dkl.defined() ? float_column(dkl) : dkl;
  at::Tensor dhidden = at::zeros(hidden.sizes(), hidden.options().dtype(at::kFloat));
  for_pieces(rows, pass.chunk_rows, [&](std::int64_t first, std::int64_t count) {
    const auto part = [&](const at::Tensor& values) {
      return values.defined() ? values.narrow(0, first, count) : values;
    };
    const at::Tensor at_rows = part(pass.rows.rows), chunk = hidden.index_select(0, at_rows);
    const at::Tensor reference = dkl.defined() ? reference_rows(pass, first, count) : at::Tensor();
    const kernels::LogitGradient gradient{part(pass.logsumexp), part(pass.rows.targets),
                                          part(dlogprob), part(dkl_column),
                                          part(pass.reference_logsumexp)};
    at::Tensor dchunk = at::zeros({count, hidden.size(1)}, dhidden.options());
    for_pieces(decoder.config.vocab_size, block_words(decoder),
               [&](std::int64_t word, std::int64_t words) {
                 const at::Tensor dlogits = kernels::logit_gradient(
                     gradient, kernels::linear_outputs(chunk, decoder.head.forward, word, words),
                     reference_logits(pass, reference, word, words), word, decoder.compute);
                 kernels::accumulate_weight_gradient(decoder.head.gradient.narrow(0, word, words),
                                                     dlogits, chunk, decoder.precision);
                 kernels::add_linear_inputs(dchunk, dlogits, decoder.head.backward, word);
               });
    dhidden.index_add_(0, at_rows, dchunk);
  });
  return dhidden.to(hidden.scalar_type());
}

}  // namespace plumb
