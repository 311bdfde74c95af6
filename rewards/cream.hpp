#pragma once
#include <memory>
#include <string>

#include "core/options.hpp"
#include "rewards/language_model.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

struct CreamOptions {
  std::string model = "policy";
  std::string reference = "base";
  std::string chat = "auto";
  std::string norm = "sum";
  std::int64_t batch_tokens = 4096;

  static void describe(auto& self, auto&& field) {
    field("model", self.model,
          "model that ranks its own responses: a folder, .gguf file or hub id, or a model the run "
          "shares, such as "
          "policy");
    field("reference", self.reference, "model whose log-probs are subtracted; empty = none");
    field("chat", self.chat, Choices{chat_choices()},
          "chat format of the prompt; auto = the model's own");
    field("norm", self.norm, Choices{{"sum", "mean"}}, "over the response's tokens");
    field("batch_tokens", self.batch_tokens, Range{1, 1e7}, "tokens of a forward pass");
  }
};

/// Likelihood reward of CREAM (arXiv 2410.12735): log p_model(y | x) - log p_reference(y | x), in
/// nats, or nats a token with norm = mean; without a reference the log-prob alone. Only the
/// response's own tokens count. Components: logprob, reference_logprob, tokens. Per token: the
/// difference.
class CreamReward final : public RewardModule {
 public:
  using Options = CreamOptions;
  static RewardInfo about();
  static std::unique_ptr<CreamReward> make(const Options& options, RewardContext& context);

  /// @param reference  may be empty. Throws DataError if the models' vocabularies differ.
  CreamReward(Options options, std::shared_ptr<const LanguageModel> model,
              std::shared_ptr<const LanguageModel> reference);
  RewardInfo info() const override { return about(); }
  std::string content_hash() const override;
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  Options options_;
  std::shared_ptr<const LanguageModel> model_, reference_;
  ChatTemplate chat_;
};

}  // namespace plumb
