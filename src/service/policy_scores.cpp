#include "service/policy_scores.hpp"

#include <numeric>

#include "core/error.hpp"
#include "service/served_models.hpp"

namespace plumb::service {
namespace {

/// Sums the values of what could be read as tokens; the others keep their error.
class Asked {
 public:
  explicit Asked(std::size_t samples) : scores_(samples) {}
  template <class Read>
  void read(std::size_t sample, const Read& tokens_of) {
    try {
      for (SampleTokens& tokens : tokens_of()) {
        tokens_.push_back(std::move(tokens));
        owners_.push_back(sample);
      }
    } catch (const DataError& error) {
      scores_[sample].error = error.what();
    }
  }
  std::vector<Score> answered(TextModel& policy) {
    const std::vector<std::vector<float>> values = policy.logprobs(tokens_);
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::vector<float>& all = scores_[owners_[i]].per_token;
      all.insert(all.end(), values[i].begin(), values[i].end());
    }
    return std::move(scores_);
  }

 private:
  std::vector<Score> scores_;
  std::vector<SampleTokens> tokens_;
  std::vector<std::size_t> owners_;  // sample of each of tokens_
};

}  // namespace

void ServedModels::serve_policy(std::shared_ptr<TextModel> model) {
  policy = std::move(model);
  logprobs = std::make_shared<const ServedModule>(
      ServedModule{"logprobs", std::make_shared<PolicyLogprobs>(policy),
                   cat("logprobs\n", policy->fingerprint()), false});
}

RewardInfo PolicyLogprobs::info() const {
  return {"logprobs", "nats", "", "log-probs of a response's tokens under the policy"};
}

std::vector<Score> PolicyLogprobs::score(std::span<const RewardSample> samples) const {
  Asked asked(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i)
    asked.read(i, [&] { return std::vector{policy_->tokens_of(samples[i])}; });
  std::vector<Score> scores = asked.answered(*policy_);
  for (Score& score : scores) {
    if (score.error.empty())
      score.value = std::accumulate(score.per_token.begin(), score.per_token.end(), 0.0);
  }
  return scores;
}

LabelLogprobs::LabelLogprobs(std::shared_ptr<TextModel> policy, std::vector<std::int32_t> labels,
                             bool item_first)
    : policy_(std::move(policy)), labels_(std::move(labels)), item_first_(item_first) {
  expects(!labels_.empty(), "at least one label");
}

RewardInfo LabelLogprobs::info() const {
  return {"labels", "nats", "", "log-probs of given tokens after query and item"};
}

std::string LabelLogprobs::fingerprint() const {
  std::string text = cat("labels\n", policy_->fingerprint(), "\n", item_first_);
  for (const std::int32_t id : labels_) text += cat(" ", id);
  return text;
}

std::vector<std::int32_t> LabelLogprobs::prompt_of(const RewardSample& sample) const {
  std::vector<std::int32_t> ids;
  if (!sample.prompt_ids.empty() || !sample.response_ids.empty()) {
    ids = item_first_ ? sample.response_ids : sample.prompt_ids;
    const auto& rest = item_first_ ? sample.prompt_ids : sample.response_ids;
    ids.insert(ids.end(), rest.begin(), rest.end());
  } else {
    const std::string& query = sample.messages.at(0).content;
    ids = encode_prompt(policy_->tokenizer(),
                        item_first_ ? sample.response + query : query + sample.response);
  }
  if (ids.empty()) throw DataError("query and item have no token");
  if (static_cast<std::int64_t>(ids.size()) >= policy_->max_length())
    throw DataError(cat("query and item have ", ids.size(), " tokens; the policy's context is ",
                        policy_->max_length()));
  return ids;
}

std::vector<Score> LabelLogprobs::score(std::span<const RewardSample> samples) const {
  Asked asked(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    asked.read(i, [&] {
      const std::vector<std::int32_t> prompt = prompt_of(samples[i]);
      std::vector<SampleTokens> all;
      for (const std::int32_t label : labels_) all.push_back({prompt, {label}});
      return all;
    });
  }
  std::vector<Score> scores = asked.answered(*policy_);
  for (Score& score : scores) {
    if (score.error.empty()) score.value = score.per_token.front();
  }
  return scores;
}

std::vector<std::int32_t> encode_prompt(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::int32_t> ids = tokenizer.encode_template(text, {});
  if (tokenizer.adds_bos() && tokenizer.bos()) ids.insert(ids.begin(), *tokenizer.bos());
  return ids;
}

}  // namespace plumb::service
