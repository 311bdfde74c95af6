#pragma once
#include <memory>
#include <string>

#include "core/options.hpp"
#include "rewards/language_model.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

struct TregRewardOptions {
  std::string model = "reference";
  std::string chat = "auto";
  std::string better = "{instruction}\\n\\nGive a helpful, correct, coherent and concise answer.";
  std::string worse =
      "{instruction}\\n\\nGive an unhelpful, incorrect, incoherent and verbose answer.";
  std::int64_t batch_tokens = 4096;

  static void describe(auto& self, auto&& field) {
    field("model", self.model,
          "model that judges: a folder, .gguf file or hub id, or a model the run shares, such as "
          "reference");
    field("chat", self.chat, Choices{chat_choices()},
          "chat format of the prompts; auto = the model's own");
    field("better", self.better,
          "last user turn that asks for a better answer; {instruction} and {response} are filled "
          "in, \\n is a line "
          "break");
    field("worse", self.worse, "the same for a worse answer");
    field("batch_tokens", self.batch_tokens, Range{1, 1e7}, "tokens of a forward pass");
  }
};

/// Self-generated token rewards of T-REG (arXiv 2412.02685): the response's own tokens are read
/// after two prompts,
///
///   r_t = sigmoid(log p(y_t | better prompt, y_<t) - log p(y_t | worse prompt, y_<t)) - 1/2   in
///   (-1/2, 1/2)
///
/// so that a positive token is one that suits a better answer, in chosen and in rejected responses
/// alike. The prompts' wording is ours: the authors' is not published. By default they do not show
/// the response: a model that can copy it tells good words from spoilt ones less often
/// (docs/results.md). Value: mean of r_t.
/// Components: sum, positive (share of tokens), tokens.
class TregReward final : public RewardModule {
 public:
  using Options = TregRewardOptions;
  static RewardInfo about();
  static std::unique_ptr<TregReward> make(const Options& options, RewardContext& context);

  TregReward(Options options, std::shared_ptr<const LanguageModel> model);
  RewardInfo info() const override { return about(); }
  std::string content_hash() const override { return model_->content_hash; }
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  Options options_;
  std::shared_ptr<const LanguageModel> model_;
  ChatTemplate chat_;
};

/// `form` with {instruction} and {response} filled in once (text that is filled in is not searched
/// again), and "\n" written as two characters made a line break.
std::string filled_in(const std::string& form, const std::string& instruction,
                      const std::string& response);

}  // namespace plumb
