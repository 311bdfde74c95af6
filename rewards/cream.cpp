#include "rewards/cream.hpp"

#include <map>
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
  const auto optional_model = [&](const std::string& model, const std::string& option) {
    return model.empty() ? nullptr : context.language_model(model, option);
  };
  return std::make_unique<CreamReward>(options,
                                       context.language_model(options.model, "cream.model"),
                                       optional_model(options.reference, "cream.reference"),
                                       optional_model(options.previous, "cream.previous"));
}

CreamReward::CreamReward(Options options, std::shared_ptr<const LanguageModel> model,
                         std::shared_ptr<const LanguageModel> reference,
                         std::shared_ptr<const LanguageModel> previous)
    : options_(std::move(options)),
      model_(std::move(model)),
      reference_(std::move(reference)),
      previous_(std::move(previous)),
      chat_(chat_of(*model_, options_.chat)) {
  const std::int64_t ours = model_->decoder->config().vocab_size;
  for (const auto& [name, other] : {std::pair{"reference", reference_}, {"previous", previous_}}) {
    if (!other || other->decoder->config().vocab_size == ours) continue;
    throw DataError(cat("cream.model has a vocabulary of ", ours, " tokens, cream.", name,
                        " one of ", other->decoder->config().vocab_size,
                        ": a ratio needs the same one"));
  }
}

std::string CreamReward::content_hash() const {
  std::string hash = model_->content_hash;
  for (const auto& other : {reference_, previous_}) {
    if (other) hash += "-" + other->content_hash;
  }
  return hash;
}

struct CreamReward::Reward {
  std::optional<double> value;
  const char* basis;
};

CreamReward::Reward CreamReward::reward_of(const LanguageModel& model, double logprob,
                                           double reference, double tokens) const {
  const double divisor = options_.norm == "mean" ? tokens : 1;
  if (!reference_) return {logprob / divisor, "loglik"};
  if (model.content_hash != reference_->content_hash)
    return {(logprob - reference) / divisor, "ratio"};
  if (options_.first_iteration == "skip") return {std::nullopt, "ratio"};
  return {logprob / tokens, "mean_loglik"};
}

std::vector<Score> CreamReward::score(std::span<const RewardSample> samples) const {
  Prepared prepared = prepare_continuations(samples, [&](const RewardSample& sample) {
    return continuation_of(*model_, chat_, sample.messages, sample);
  });
  const auto& items = prepared.continuations;
  const std::int64_t vocab = model_->decoder->config().vocab_size;
  std::map<std::string, TokenValues> known;  // models with the same weights are asked once
  const auto logprobs = [&](const LanguageModel& model) -> const TokenValues& {
    const auto found = known.find(model.content_hash);
    if (found != known.end()) return found->second;
    return known
        .emplace(model.content_hash,
                 token_logprobs(*model.decoder, items, vocab, options_.batch_tokens))
        .first->second;
  };
  const TokenValues& ours = logprobs(*model_);
  const TokenValues* theirs = reference_ ? &logprobs(*reference_) : nullptr;
  const TokenValues* before = previous_ ? &logprobs(*previous_) : nullptr;
  for (std::size_t i = 0; i < items.size(); ++i) {
    Score& score = prepared.scores[prepared.sample_of[i]];
    const double logprob = sum_of(ours[i]), tokens = static_cast<double>(ours[i].size());
    const double reference = theirs ? sum_of((*theirs)[i]) : 0;
    score.components = {{"logprob", logprob}, {"tokens", tokens}};
    if (theirs) score.components.emplace_back("reference_logprob", reference);
    if (before) {
      const double logprob_before = sum_of((*before)[i]);
      score.components.emplace_back("previous_logprob", logprob_before);
      const Reward reward = reward_of(*previous_, logprob_before, reference, tokens);
      if (reward.value) score.components.emplace_back("previous", *reward.value);
    }
    const Reward reward = reward_of(*model_, logprob, reference, tokens);
    score.value = score.raw = reward.value.value_or(0);
    score.labels.emplace_back("basis", reward.basis);
    set_token_rewards(score, items[i], theirs ? difference(ours[i], (*theirs)[i]) : ours[i]);
  }
  return std::move(prepared.scores);
}

}  // namespace plumb
