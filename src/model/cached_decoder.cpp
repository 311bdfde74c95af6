#include "model/cached_decoder.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>

#include "core/error.hpp"
#include "kernels/elementwise.hpp"
#include "model/cached_attention.hpp"
#include "model/decoder_impl.hpp"
#include "model/kv_cache.hpp"

namespace plumb {
namespace {

/// Prompt tokens that go through the layers together: their activations stay in the cache of the
/// processor.
constexpr std::size_t kChunkTokens = 512;

std::int64_t element_size(const Decoder::Impl& model) {
  return model.compute == at::kBFloat16 ? 2 : 4;
}

at::Tensor view(std::vector<std::int64_t>& values) {
  return at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kLong);
}

}  // namespace

struct CachedDecoder::Impl {
  struct Prefix {
    KvCache::Sequence tokens;
    std::int64_t rows = 0;
    bool held = false;  // not released yet
  };
  struct Row {
    KvCache::Sequence tokens;
    PrefixId prefix = -1;  // -1: closed
  };

  explicit Impl(const Decoder::Impl& decoder)
      : model(decoder),
        cache(decoder.config.num_layers, decoder.config.num_kv_heads, decoder.config.head_dim,
              element_size(decoder)) {
    expects(decoder.device.is_cpu(), "a model on the CPU");
  }

  const Decoder::Impl& model;
  KvCache cache;
  std::vector<Prefix> prefixes;
  std::vector<Row> rows;
  std::vector<PrefixId> free_prefixes;
  std::vector<RowId> free_rows;
  // Reused from call to call.
  std::vector<std::int64_t> ids, positions;
  std::vector<CacheToken> tokens;

  PrefixId new_prefix() {
    if (free_prefixes.empty()) {
      prefixes.emplace_back();
      free_prefixes.push_back(static_cast<PrefixId>(prefixes.size()) - 1);
    }
    const PrefixId id = free_prefixes.back();
    free_prefixes.pop_back();
    prefix(id).held = true;
    return id;
  }
  Prefix& prefix(PrefixId id) { return prefixes.at(static_cast<std::size_t>(id)); }
  Row& open_row(RowId id) {
    Row& row = rows.at(static_cast<std::size_t>(id));
    expects(row.prefix >= 0, "an open row");
    return row;
  }
  void free_if_unused(PrefixId id) {
    Prefix& unused = prefix(id);
    if (unused.held || unused.rows > 0) return;
    cache.clear(unused.tokens);
    free_prefixes.push_back(id);
  }

  /// Runs `tokens` with `ids` through the layers. @return [M, H] compute type, after the final norm
  at::Tensor run();
  /// Fills the cache with prompts. @return [P, H] the last row of each
  at::Tensor run_prompts(std::span<const std::vector<std::int32_t>> prompts,
                         std::span<const PrefixId> handles);
};

at::Tensor CachedDecoder::Impl::run() {
  positions.clear();
  for (const CacheToken& token : tokens) positions.push_back(token.position());
  const at::Tensor places = view(positions);
  const CachedAttention attention(cache, model.attention, tokens);
  const double epsilon = model.config.rms_norm_eps;
  at::Tensor residual = model.embed(view(ids));
  at::Tensor normed =
      kernels::rms_norm(residual, model.layers.front().input_norm.weight, epsilon, model.compute);
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const DecoderLayer& layer = model.layers[i];
    at::Tensor qkv = layer.qkv(normed);
    model.place_queries_and_keys(qkv, layer, places);
    const at::Tensor attended = attention(static_cast<std::int64_t>(i), qkv);
    normed = kernels::add_rms_norm(residual, layer.output(attended), residual,
                                   layer.post_norm.weight, epsilon, model.compute);
    const at::Tensor activated = kernels::swiglu(layer.gate_up(normed));
    const NormWeights& next =
        i + 1 == model.layers.size() ? model.final_norm : model.layers[i + 1].input_norm;
    normed = kernels::add_rms_norm(residual, layer.down(activated), residual, next.weight, epsilon,
                                   model.compute);
  }
  return normed;
}

at::Tensor CachedDecoder::Impl::run_prompts(std::span<const std::vector<std::int32_t>> prompts,
                                            std::span<const PrefixId> handles) {
  std::vector<at::Tensor> last_rows;
  ids.clear();
  tokens.clear();
  std::vector<std::int64_t> ends;  // of the prompts whose last token waits in `tokens`
  const auto flush = [&] {
    const at::Tensor hidden = run();
    for (const std::int64_t end : ends) last_rows.push_back(hidden.narrow(0, end, 1));
    ids.clear();
    tokens.clear();
    ends.clear();
  };
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    KvCache::Sequence& sequence = prefix(handles[p]).tokens;
    cache.extend(sequence, static_cast<std::int64_t>(prompts[p].size()));
    for (std::int64_t place = 0; place < sequence.tokens; ++place) {
      if (tokens.size() == kChunkTokens) flush();
      ids.push_back(prompts[p][static_cast<std::size_t>(place)]);
      tokens.push_back({nullptr, &sequence, place});
    }
    ends.push_back(static_cast<std::int64_t>(tokens.size()) - 1);
  }
  flush();
  return at::cat(last_rows);
}

CachedDecoder::CachedDecoder(const Decoder& model) : impl_(std::make_unique<Impl>(model.impl())) {}
CachedDecoder::~CachedDecoder() = default;

std::vector<CachedDecoder::PrefixId> CachedDecoder::prefill(
    std::span<const std::vector<std::int32_t>> prompts, at::Tensor& logits) {
  expects(!prompts.empty(), "at least one prompt");
  const at::NoGradGuard no_gradients;
  for (const std::vector<std::int32_t>& prompt : prompts) {
    expects(!prompt.empty(), "prompts of at least one token");
    impl_->model.check_length(static_cast<std::int64_t>(prompt.size()));
  }
  std::vector<PrefixId> handles;
  for (std::size_t p = 0; p < prompts.size(); ++p) handles.push_back(impl_->new_prefix());
  try {
    logits = impl_->model.head(impl_->run_prompts(prompts, handles), /*float32_output=*/true);
  } catch (...) {
    for (const PrefixId handle : handles) release(handle);
    throw;
  }
  return handles;
}

CachedDecoder::RowId CachedDecoder::open_row(PrefixId prefix) {
  Impl::Prefix& prompt = impl_->prefix(prefix);
  expects(prompt.held, "a prompt that was not released");
  if (impl_->free_rows.empty()) {
    impl_->rows.emplace_back();
    impl_->free_rows.push_back(static_cast<RowId>(impl_->rows.size()) - 1);
  }
  const RowId row = impl_->free_rows.back();
  impl_->free_rows.pop_back();
  impl_->rows[static_cast<std::size_t>(row)].prefix = prefix;
  ++prompt.rows;
  return row;
}

void CachedDecoder::close_row(RowId row) {
  Impl::Row& closing = impl_->open_row(row);
  const PrefixId prefix = closing.prefix;
  impl_->cache.clear(closing.tokens);
  closing.prefix = -1;
  impl_->free_rows.push_back(row);
  --impl_->prefix(prefix).rows;
  impl_->free_if_unused(prefix);
}

void CachedDecoder::release(PrefixId prefix) {
  expects(impl_->prefix(prefix).held, "a prompt that was not released");
  impl_->prefix(prefix).held = false;
  impl_->free_if_unused(prefix);
}

at::Tensor CachedDecoder::step(std::span<const RowId> rows, std::span<const std::int32_t> tokens) {
  expects(!rows.empty() && rows.size() == tokens.size(), "one token a row");
  const at::NoGradGuard no_gradients;
  // All checks come first: an exception leaves the rows as they were.
  for (const RowId id : rows) {
    const Impl::Row& row = impl_->open_row(id);
    impl_->model.check_length(impl_->prefix(row.prefix).tokens.tokens + row.tokens.tokens + 1);
  }
  for (const std::int32_t token : tokens) {
    expects(token >= 0 && token < impl_->model.config.vocab_size, "tokens of the vocabulary");
  }
  impl_->ids.assign(tokens.begin(), tokens.end());
  impl_->tokens.clear();
  for (const RowId id : rows) {
    Impl::Row& row = impl_->open_row(id);
    impl_->cache.extend(row.tokens, 1);
    impl_->tokens.push_back(
        {&impl_->prefix(row.prefix).tokens, &row.tokens, row.tokens.tokens - 1});
  }
  return impl_->model.head(impl_->run(), /*float32_output=*/true);
}

}  // namespace plumb
