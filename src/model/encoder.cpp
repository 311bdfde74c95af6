#include "model/encoder.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "model/bert_model.hpp"
#include "model/safetensors.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

/// Rows of one forward pass: enough to keep every core busy, few enough to stay in the caches.
constexpr std::size_t kBatchTokens = 4096;

using Ids = std::vector<std::int32_t>;

/// Sums of float32 rows in float64, over the number of rows.
at::Tensor mean_rows(const at::Tensor& states, std::int64_t begin, std::int64_t count) {
  return states.narrow(0, begin, count).mean({0}, false, at::kDouble);
}

}  // namespace

struct Encoder::Impl {
  BertConfig config;
  std::unique_ptr<const Tokenizer> tokenizer;
  std::unique_ptr<const BertModel> model;
  std::string content_hash;
};

Encoder::Encoder() : impl_(std::make_unique<Impl>()) {}
Encoder::~Encoder() = default;

std::unique_ptr<Encoder> Encoder::load(const fs::path& folder) {
  std::unique_ptr<Encoder> encoder(new Encoder());
  Impl& impl = *encoder->impl_;
  impl.config = read_bert_config(folder);
  const fs::path& source = impl.config.weights_folder;
  const fs::path weights = source / "model.safetensors";
  if (!fs::exists(weights)) {
    throw DataError(cat(source.string(), ": model.safetensors is missing", pickle_hint(source)));
  }
  impl.tokenizer = load_tokenizer(source);
  if (impl.tokenizer->vocab_size() > impl.config.vocab_size) {
    throw DataError(cat(source.string(), ": the tokenizer has ", impl.tokenizer->vocab_size(),
                        " ids, the model only ", impl.config.vocab_size, " embedding rows"));
  }
  impl.model =
      std::make_unique<BertModel>(impl.config, read_safetensors(weights), weights.string());
  impl.content_hash = sha256_hex_of_file(weights);
  return encoder;
}

at::Tensor Encoder::embed(std::span<const std::string> texts, bool keep_end) const {
  std::vector<Ids> ids;
  ids.reserve(texts.size());
  for (const std::string& text : texts) {
    ids.push_back(encode_for_encoder(*impl_->tokenizer, text,
                                     static_cast<std::size_t>(max_tokens()), keep_end));
  }
  return embed_ids(ids);
}

at::Tensor Encoder::embed_ids(std::span<const Ids> ids) const {
  const at::NoGradGuard no_gradients;
  std::vector<std::size_t> order(ids.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return ids[a].size() < ids[b].size(); });
  at::Tensor embeddings = at::empty({static_cast<std::int64_t>(ids.size()), dimension()});
  for (std::size_t first = 0; first < order.size();) {
    std::vector<const Ids*> batch;
    std::size_t end = first, tokens = 0;
    while (end < order.size() &&
           (end == first || tokens + ids[order[end]].size() <= kBatchTokens)) {
      expects(!ids[order[end]].empty(), "texts of at least one token");
      tokens += ids[order[end]].size();
      batch.push_back(&ids[order[end++]]);
    }
    const at::Tensor states = impl_->model->forward(batch);
    std::int64_t row = 0;
    for (; first < end; ++first) {
      const auto length = static_cast<std::int64_t>(ids[order[first]].size());
      embeddings[static_cast<std::int64_t>(order[first])].copy_(mean_rows(states, row, length));
      row += length;
    }
  }
  return embeddings;
}

std::int64_t Encoder::dimension() const { return impl_->config.hidden_size; }
std::int64_t Encoder::max_tokens() const { return impl_->config.max_tokens; }
bool Encoder::normalizes() const { return impl_->config.normalizes; }
const std::string& Encoder::content_hash() const { return impl_->content_hash; }
const Tokenizer& Encoder::tokenizer() const { return *impl_->tokenizer; }

}  // namespace plumb
