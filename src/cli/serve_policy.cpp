#include "cli/serve_policy.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>

#include "core/error.hpp"
#include "model/checkpoint.hpp"
#include "pipeline/model_setup.hpp"
#include "rewards/token_logprobs.hpp"
#include "rollout/engine.hpp"

namespace plumb::cli {
namespace {

using service::TextModel;
using service::TokenLogprob;

constexpr std::int64_t kLogitRows = 256;     // rows of full logits held at once
constexpr std::int64_t kBatchTokens = 2048;  // of one forward pass

class Policy final : public TextModel {
 public:
  Policy(std::string name, std::shared_ptr<const LanguageModel> model, ChatTemplate chat,
         Guides guides)
      : name_(std::move(name)),
        model_(std::move(model)),
        chat_(std::move(chat)),
        guides_(std::move(guides)),
        end_ids_(find_end_ids(model_->decoder->config(), *model_->tokenizer, chat_)),
        engine_(make_engine()) {}

  std::string name() const override { return name_; }
  const Tokenizer& tokenizer() const override { return *model_->tokenizer; }
  const ChatTemplate& chat() const override { return chat_; }
  std::int64_t max_length() const override {
    std::int64_t shortest = model_->decoder->config().max_position_embeddings;
    for (const Guides::One& guide : guides_.all())
      shortest = std::min(shortest, guide.model->decoder->config().max_position_embeddings);
    return shortest;
  }
  std::string fingerprint() const override {
    return cat(model_->content_hash, "\n", chat_.name(), "\n",
               static_cast<int>(model_->decoder->precision()));
  }
  service::SampleTokens tokens_of(const RewardSample& sample) const override {
    Continuation tokens = continuation_of(*model_, chat_, sample.messages, sample);
    return {std::move(tokens.prompt), std::move(tokens.response)};
  }
  std::vector<std::vector<float>> logprobs(
      std::span<const service::SampleTokens> samples) override {
    const at::NoGradGuard no_grad;
    std::vector<Continuation> continuations;
    for (const service::SampleTokens& sample : samples)
      continuations.push_back({sample.prompt, sample.response});
    return token_logprobs(*model_->decoder, continuations, model_->decoder->config().vocab_size,
                          kBatchTokens);
  }
  std::vector<std::vector<std::int32_t>> guide_prompts(
      std::span<const Message> messages) const override {
    return guides_.prompts(messages);
  }

  std::vector<std::vector<TokenLogprob>> score(std::span<const std::vector<std::int32_t>> sequences,
                                               std::int64_t top) override {
    const at::NoGradGuard no_grad;
    std::vector<std::vector<TokenLogprob>> out;
    for (const std::vector<std::int32_t>& ids : sequences) out.push_back(score_one(ids, top));
    return out;
  }

  void check(const RolloutRequest& request) const override {
    engine_.check(request, SamplingOptions{}, 0);
  }

  void generate(const Feed& feed) override {
    const at::NoGradGuard no_grad;
    engine_.generate(feed.next, SamplingOptions{}, end_ids_, 0, 0, feed.done, feed.token);
  }

 private:
  RolloutEngine make_engine() const {
    const Decoder& base = *model_->decoder;
    if (guides_.all().empty()) return {base, *model_->tokenizer, RolloutEngine::Options{}};
    return {guides_.steer(base), *model_->tokenizer, RolloutEngine::Options{}};
  }

  std::vector<TokenLogprob> score_one(const std::vector<std::int32_t>& ids, std::int64_t top) {
    std::vector<TokenLogprob> rows;
    if (ids.empty()) return rows;
    rows.push_back({ids[0], std::numeric_limits<double>::quiet_NaN(), {}});
    if (ids.size() == 1) return rows;
    RaggedBuilder builder;
    builder.add(ids);
    const at::Tensor hidden = model_->decoder->hidden(builder.batch(model_->decoder->device()));
    const auto last = static_cast<std::int64_t>(ids.size()) - 1;
    for (std::int64_t begin = 0; begin < last; begin += kLogitRows)
      add_rows(hidden.slice(0, begin, std::min(last, begin + kLogitRows)), begin, ids, top, rows);
    return rows;
  }

  void add_rows(const at::Tensor& hidden, std::int64_t begin, const std::vector<std::int32_t>& ids,
                std::int64_t top, std::vector<TokenLogprob>& rows) {
    const at::Tensor logps =
        at::log_softmax(model_->decoder->logits(hidden), -1).to(at::kCPU).contiguous();
    const std::int64_t vocab = logps.size(1);
    const float* values = logps.const_data_ptr<float>();
    at::Tensor best, best_ids;
    if (top > 0) {
      std::tie(best, best_ids) = at::topk(logps, std::min(top, vocab), -1);
      best = best.contiguous();
      best_ids = best_ids.contiguous();
    }
    for (std::int64_t r = 0; r < logps.size(0); ++r) {
      TokenLogprob row;
      row.id = ids[static_cast<std::size_t>(begin + r + 1)];
      row.logprob = values[r * vocab + row.id];
      for (std::int64_t k = 0; top > 0 && k < best.size(1); ++k) {
        row.top.emplace_back(static_cast<std::int32_t>(
                                 best_ids.const_data_ptr<std::int64_t>()[r * best.size(1) + k]),
                             best.const_data_ptr<float>()[r * best.size(1) + k]);
      }
      rows.push_back(std::move(row));
    }
  }

  std::string name_;
  std::shared_ptr<const LanguageModel> model_;
  ChatTemplate chat_;
  Guides guides_;
  std::vector<std::int32_t> end_ids_;
  RolloutEngine engine_;
};

}  // namespace

std::shared_ptr<TextModel> load_text_model(const std::string& model,
                                           const std::string& chat_template,
                                           const GuideOptions& guides, RewardContext& context) {
  std::string name = std::filesystem::path(model).filename().string();
  if (name.empty()) name = model;
  const auto load = [&](const std::string& option) {
    return [&context, option](const std::filesystem::path& path) {
      return context.language_model(path.string(), option);
    };
  };
  std::shared_ptr<const LanguageModel> loaded = load("serve.policy")(resolve_model(model));
  ChatTemplate chat = choose_chat_template(chat_template, loaded->chat_template_jinja);
  Guides steering(guides, "guide.models", *loaded->tokenizer, load("guide.models"));
  return std::make_shared<Policy>(std::move(name), std::move(loaded), std::move(chat),
                                  std::move(steering));
}

}  // namespace plumb::cli
