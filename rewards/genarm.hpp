#pragma once
#include <memory>
#include <string>

#include "core/options.hpp"
#include "rewards/language_model.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

struct GenarmRewardOptions {
  std::string model;
  std::string base;
  std::string chat = "auto";
  std::string value = "auto";
  double beta_r = 0.05;
  std::string token_rewards = "auto";
  std::int64_t batch_tokens = 4096;

  static void describe(auto& self, auto&& field) {
    field("model", self.model, "autoregressive reward model: folder, .gguf file or hub id");
    field("base", self.base,
          "model whose log-probs are subtracted, with the same tokenizer; empty = none");
    field("chat", self.chat, Choices{chat_choices()},
          "chat format of the reward model's prompt; auto = its own");
    field("value", self.value, Choices{{"auto", "sum", "bt", "mean", "contrast"}},
          "summed log-prob, times beta_r, per token, or minus the base's; auto = contrast with a "
          "base, else mean");
    field("beta_r", self.beta_r, Range{1e-6, 1e3}, "scale of the Bradley-Terry reward bt");
    field("token_rewards", self.token_rewards,
          Choices{{"auto", "none", "logprob", "contrast", "advantage"}},
          "values of tokens: log-prob, minus the base's, or minus its mean under the base; auto = "
          "contrast with a "
          "base, else logprob");
    field("batch_tokens", self.batch_tokens, Range{1, 1e7}, "tokens of a forward pass");
  }
};

/// GenARM's autoregressive reward model as a scorer (arXiv 2410.08193): log-prob of the response
/// under a language model that was trained on preferences. S = sum over the response's tokens, EOS
/// included, of log arm(token).
///
///   sum S · bt beta_r S · mean S / tokens · contrast S - S_base
///
/// Components: all of these that can be had, and tokens. Label tokens: sampled (the policy's ids),
/// or text.
class GenarmReward final : public RewardModule {
 public:
  using Options = GenarmRewardOptions;
  static RewardInfo about();
  /// Throws UsageError if no model is named or an option needs a base; DataError if the
  /// vocabularies do not fit.
  static std::unique_ptr<GenarmReward> make(const Options& options, RewardContext& context);

  GenarmReward(Options options, std::shared_ptr<const LanguageModel> arm,
               std::shared_ptr<const LanguageModel> base);
  RewardInfo info() const override { return about(); }
  std::string content_hash() const override;
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  Options options_;
  std::shared_ptr<const LanguageModel> arm_, base_;
  ChatTemplate chat_;
  std::int64_t vocab_;
};

}  // namespace plumb
