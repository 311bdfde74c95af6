#include "rewards/genarm.hpp"

#include <utility>

#include "core/error.hpp"
#include "rewards/context.hpp"
#include "rewards/continuation_scores.hpp"
#include "rewards/token_logprobs.hpp"
#include "rewards/token_scores.hpp"

namespace plumb {
namespace {

bool needs_base(const GenarmRewardOptions& options) {
  return options.value == "contrast" || options.token_rewards == "contrast" ||
         options.token_rewards == "advantage";
}

std::int64_t shared_vocabulary(const LanguageModel& arm, const LanguageModel* base) {
  const std::int64_t of_arm = arm.decoder->config().vocab_size;
  if (base == nullptr) return of_arm;
  const std::int64_t of_base = base->decoder->config().vocab_size;
  if (of_arm < of_base) {
    throw DataError(cat("genarm.model has a vocabulary of ", of_arm, " tokens, genarm.base one of ",
                        of_base, ": the reward model must know every token of the base"));
  }
  return of_base;
}

void check_sampled(const Continuation& continuation, std::int64_t vocab) {
  for (const std::int32_t id : continuation.response) {
    if (id >= vocab) {
      throw DataError(
          cat("response token ", id, " is outside of the shared vocabulary of ", vocab));
    }
  }
}

}  // namespace

RewardInfo GenarmReward::about() {
  return {"genarm", "nats", "arXiv 2410.08193",
          "log-prob of the response under an autoregressive reward model"};
}

std::unique_ptr<GenarmReward> GenarmReward::make(const Options& options, RewardContext& context) {
  if (options.model.empty()) {
    throw UsageError("genarm.model is empty: name an autoregressive reward model");
  }
  if (options.base.empty() && needs_base(options)) {
    throw UsageError(
        "genarm.value or genarm.token_rewards compares with a base model: set genarm.base");
  }
  return std::make_unique<GenarmReward>(
      options, context.language_model(options.model),
      options.base.empty() ? nullptr : context.language_model(options.base));
}

GenarmReward::GenarmReward(Options options, std::shared_ptr<const LanguageModel> arm,
                           std::shared_ptr<const LanguageModel> base)
    : options_(std::move(options)),
      arm_(std::move(arm)),
      base_(std::move(base)),
      chat_(chat_of(*arm_, options_.chat)),
      vocab_(shared_vocabulary(*arm_, base_.get())) {
  expects(base_ != nullptr || !needs_base(options_), "a base model to compare with");
  if (options_.value == "auto") options_.value = base_ ? "contrast" : "mean";
  if (options_.token_rewards == "auto") options_.token_rewards = base_ ? "contrast" : "logprob";
}

std::string GenarmReward::content_hash() const {
  return base_ ? cat(arm_->content_hash, "-", base_->content_hash) : arm_->content_hash;
}

std::vector<Score> GenarmReward::score(std::span<const RewardSample> samples) const {
  Prepared prepared = prepare_continuations(samples, [&](const RewardSample& sample) {
    Continuation continuation = continuation_of(*arm_, chat_, sample.messages, sample);
    check_sampled(continuation, vocab_);
    return continuation;
  });
  const auto& items = prepared.continuations;
  const TokenValues arm = token_logprobs(*arm_->decoder, items, vocab_, options_.batch_tokens);
  TokenValues base, baseline;
  if (base_) base = token_logprobs(*base_->decoder, items, vocab_, options_.batch_tokens);
  if (options_.token_rewards == "advantage") {
    baseline =
        expected_logprobs(*base_->decoder, *arm_->decoder, items, vocab_, options_.batch_tokens);
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    Score& score = prepared.scores[prepared.sample_of[i]];
    const double sum = sum_of(arm[i]), tokens = static_cast<double>(arm[i].size());
    score.components = {
        {"sum", sum}, {"bt", options_.beta_r * sum}, {"mean", sum / tokens}, {"tokens", tokens}};
    if (base_) score.components.emplace_back("contrast", sum - sum_of(base[i]));
    for (const auto& [name, value] : score.components) {
      if (name == options_.value) score.value = score.raw = value;
    }
    const std::string& kind = options_.token_rewards;
    set_token_rewards(score, items[i],
                      kind == "none"       ? std::vector<float>{}
                      : kind == "logprob"  ? arm[i]
                      : kind == "contrast" ? difference(arm[i], base[i])
                                           : difference(arm[i], baseline[i]));
  }
  return std::move(prepared.scores);
}

}  // namespace plumb
