#include "rewards/hidden_relevance.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "model/safetensors.hpp"
#include "rewards/response_text.hpp"

namespace plumb {
namespace {

constexpr std::int64_t kBatchTokens = 4096;
constexpr const char* kMeanName = "mean";

std::optional<std::int32_t> first_id(const Tokenizer& tokenizer) {
  return tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
}

at::Tensor as_tensor(const std::vector<float>& values) {
  return at::from_blob(const_cast<float*>(values.data()),
                       {static_cast<std::int64_t>(values.size())}, at::kFloat)
      .clone();
}

}  // namespace

HiddenRelevance::HiddenRelevance(std::shared_ptr<const LanguageModel> model,
                                 std::vector<float> mean, bool keep_end)
    : model_(std::move(model)), mean_(std::move(mean)), keep_end_(keep_end) {
  const std::int64_t width = model_->decoder->config().hidden_size;
  if (!mean_.empty() && static_cast<std::int64_t>(mean_.size()) != width) {
    throw DataError(cat("the mean state has ", mean_.size(), " numbers, the model's states have ",
                        width, ": make it again with `plumb calibrate`"));
  }
}

std::vector<std::int32_t> HiddenRelevance::ids_of(const std::string& text) const {
  std::vector<std::int32_t> ids = model_->tokenizer->encode(text);
  const auto first = first_id(*model_->tokenizer);
  const std::size_t room =
      static_cast<std::size_t>(model_->decoder->config().max_position_embeddings) - (first ? 1 : 0);
  if (ids.size() > room) {
    const auto excess = static_cast<std::ptrdiff_t>(ids.size() - room);
    keep_end_ ? ids.erase(ids.begin(), ids.begin() + excess)
              : ids.erase(ids.end() - excess, ids.end());
  }
  if (first && !ids.empty()) ids.insert(ids.begin(), *first);
  return ids;
}

at::Tensor HiddenRelevance::states(std::span<const std::string> texts) const {
  const at::NoGradGuard no_gradients;
  const Decoder& decoder = *model_->decoder;
  const std::int64_t around = first_id(*model_->tokenizer) ? 1 : 0;
  at::Tensor out =
      at::zeros({static_cast<std::int64_t>(texts.size()), decoder.config().hidden_size});
  for (std::size_t next = 0; next < texts.size();) {
    RaggedBuilder builder;
    std::vector<std::int64_t> text_of;
    for (; next < texts.size(); ++next) {
      const std::vector<std::int32_t> ids = ids_of(texts[next]);
      const auto size = static_cast<std::int64_t>(ids.size());
      if (builder.tokens() > 0 && builder.tokens() + size > kBatchTokens) break;
      if (ids.empty()) continue;
      builder.add(ids);
      text_of.push_back(static_cast<std::int64_t>(next));
    }
    if (text_of.empty()) continue;
    const RaggedBatch batch = builder.batch(decoder.device());
    const at::Tensor hidden = decoder.hidden(batch);
    for (std::int64_t s = 0; s < batch.segments(); ++s) {
      out[text_of[s]].copy_(hidden.narrow(0, batch.offsets[s] + around, batch.length(s) - around)
                                .mean({0}, false, at::kDouble));
    }
  }
  return out;
}

std::vector<double> HiddenRelevance::relevance(std::span<const TextPair> pairs) const {
  if (pairs.empty()) return {};
  const PairedTexts paired(pairs);
  at::Tensor embeddings = states(paired.texts);
  if (!mean_.empty()) {
    for (std::size_t i = 0; i < paired.texts.size(); ++i) {
      // A text without tokens stays zero, so that its relevance is 0.
      if (!ids_of(paired.texts[i]).empty()) {
        embeddings[static_cast<std::int64_t>(i)].sub_(as_tensor(mean_));
      }
    }
  }
  return paired.similarities(embeddings, Similarity::kCosine);
}

std::vector<std::string> HiddenRelevance::windows(const std::string& text,
                                                  std::size_t tokens) const {
  return word_windows(
      text, tokens, [&](std::string_view word) { return model_->tokenizer->encode(word).size(); });
}

std::string HiddenRelevance::content_hash() const {
  if (mean_.empty()) return model_->content_hash;
  const std::string_view bytes(reinterpret_cast<const char*>(mean_.data()),
                               mean_.size() * sizeof(float));
  return cat(model_->content_hash, "-", sha256_hex(bytes));
}

std::vector<float> mean_state(const HiddenRelevance& backend, std::span<const std::string> texts) {
  if (texts.empty()) throw DataError("the mean state needs at least one text");
  const at::Tensor mean =
      backend.states(texts).mean({0}, false, at::kDouble).to(at::kFloat).contiguous();
  const float* data = mean.const_data_ptr<float>();
  return {data, data + mean.numel()};
}

std::vector<float> read_mean_state(const std::filesystem::path& file) {
  const TensorMap tensors = read_safetensors(file);
  const auto found = tensors.find(kMeanName);
  if (found == tensors.end() || found->second.dim() != 1 || found->second.numel() == 0) {
    throw DataError(cat(file.string(), ": expected one vector named ", kMeanName,
                        "; `plumb calibrate` writes such files"));
  }
  const at::Tensor mean = found->second.to(at::kFloat).contiguous();
  const float* data = mean.const_data_ptr<float>();
  return {data, data + mean.numel()};
}

void write_mean_state(const std::filesystem::path& file, const std::vector<float>& mean) {
  write_safetensors(file, {{kMeanName, as_tensor(mean)}}, at::kFloat);
}

}  // namespace plumb
