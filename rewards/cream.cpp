#include "rewards/cream.hpp"

#include <utility>

#include "core/error.hpp"
#include "rewards/context.hpp"
#include "rewards/continuation_scores.hpp"
#include "rewards/token_logprobs.hpp"
#include "rewards/token_scores.hpp"

namespace plumb {

RewardInfo CreamReward::about() {
  return {"cream", "nats", "arXiv 2410.12735",
          "log-likelihood ratio of the response under a model and a reference"};
}

std::unique_ptr<CreamReward> CreamReward::make(const Options& options, RewardContext& context) {
  return std::make_unique<CreamReward>(
      options, context.language_model(options.model, "cream.model"),
      options.reference.empty() ? nullptr
                                : context.language_model(options.reference, "cream.reference"));
}

CreamReward::CreamReward(Options options, std::shared_ptr<const LanguageModel> model,
                         std::shared_ptr<const LanguageModel> reference)
    : options_(std::move(options)),
      model_(std::move(model)),
      reference_(std::move(reference)),
      chat_(chat_of(*model_, options_.chat)) {
  if (!reference_) return;
  const std::int64_t ours = model_->decoder->config().vocab_size;
  const std::int64_t theirs = reference_->decoder->config().vocab_size;
  if (ours != theirs) {
    throw DataError(cat("cream.model has a vocabulary of ", ours,
                        " tokens, cream.reference one of ", theirs,
                        ": a ratio needs the same one"));
  }
}

std::string CreamReward::content_hash() const {
  return reference_ ? cat(model_->content_hash, "-", reference_->content_hash)
                    : model_->content_hash;
}

std::vector<Score> CreamReward::score(std::span<const RewardSample> samples) const {
  Prepared prepared = prepare_continuations(samples, [&](const RewardSample& sample) {
    return continuation_of(*model_, chat_, sample.messages, sample);
  });
  const auto& items = prepared.continuations;
  const std::int64_t vocab = model_->decoder->config().vocab_size;
  const TokenValues ours = token_logprobs(*model_->decoder, items, vocab, options_.batch_tokens);
  TokenValues theirs;
  if (reference_) {
    theirs = token_logprobs(*reference_->decoder, items, vocab, options_.batch_tokens);
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    Score& score = prepared.scores[prepared.sample_of[i]];
    const double logprob = sum_of(ours[i]), tokens = static_cast<double>(ours[i].size());
    const double reference = reference_ ? sum_of(theirs[i]) : 0;
    score.components = {{"logprob", logprob}, {"tokens", tokens}};
    if (reference_) score.components.emplace_back("reference_logprob", reference);
    score.value = score.raw = (logprob - reference) / (options_.norm == "mean" ? tokens : 1);
    set_token_rewards(score, items[i], reference_ ? difference(ours[i], theirs[i]) : ours[i]);
  }
  return std::move(prepared.scores);
}

}  // namespace plumb
