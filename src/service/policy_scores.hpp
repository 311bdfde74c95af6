#pragma once
#include <memory>
#include <string>
#include <vector>

#include "rewards/reward.hpp"
#include "service/text_model.hpp"

/// What a policy says about given texts, in the form of reward modules: queued, batched and cached
/// like these.
namespace plumb::service {

/// value = sum of the log-probs of the response's tokens, nats; per_token = each of them. Tokens
/// are those of TextModel::tokens_of().
class PolicyLogprobs final : public RewardModule {
 public:
  explicit PolicyLogprobs(std::shared_ptr<TextModel> policy) : policy_(std::move(policy)) {}
  RewardInfo info() const override;
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  std::shared_ptr<TextModel> policy_;
};

/// Log-probs that certain tokens come next after query and item; per_token has one for each of
/// `labels`, value is the first one's. The query is a sample's prompt (text of its one message, or
/// prompt_ids), the item its response (text, or response_ids).
class LabelLogprobs final : public RewardModule {
 public:
  /// @param item_first  the item stands before the query
  LabelLogprobs(std::shared_ptr<TextModel> policy, std::vector<std::int32_t> labels,
                bool item_first);
  RewardInfo info() const override;
  /// Everything but the texts that decides the values.
  std::string fingerprint() const;
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  std::vector<std::int32_t> prompt_of(const RewardSample& sample) const;

  std::shared_ptr<TextModel> policy_;
  std::vector<std::int32_t> labels_;
  bool item_first_;
};

/// A text as a completion continues it: special tokens are read, BOS stands first where the
/// tokenizer adds it.
std::vector<std::int32_t> encode_prompt(const Tokenizer& tokenizer, const std::string& text);

}  // namespace plumb::service
