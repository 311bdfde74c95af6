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
  std::string previous = "previous";
  std::string first_iteration = "mean_loglik";
  std::string chat = "auto";
  std::string norm = "sum";
  std::int64_t batch_tokens = 4096;

  static void describe(auto& self, auto&& field) {
    field("model", self.model,
          "model that ranks its own responses: a folder, .gguf file or hub id, or a model the run "
          "shares, such as "
          "policy");
    field("reference", self.reference, "model whose log-probs are subtracted; empty = none");
    field("previous", self.previous,
          "model whose reward of the same responses is kept beside (component `previous`), for the "
          "section consistency; empty = none");
    field(
        "first_iteration", self.first_iteration, Choices{{"mean_loglik", "skip"}},
        "a model with the reference's own weights has no ratio: mean_loglik = its mean log-prob a "
        "token ranks instead, skip = model scores 0, previous nothing");
    field("chat", self.chat, Choices{chat_choices()},
          "chat format of the prompt; auto = the model's own");
    field("norm", self.norm, Choices{{"sum", "mean"}}, "over the response's tokens");
    field("batch_tokens", self.batch_tokens, Range{1, 1e7}, "tokens of a forward pass");
  }
};

/// Likelihood reward of CREAM (arXiv 2410.12735): log p_model(y | x) - log p_reference(y | x), in
/// nats, or nats a token with norm = mean; without a reference the log-prob alone. Only the
/// response's own tokens count. A model that is the reference itself gets its mean log-prob a token
/// (first_iteration), as the authors' code scores the previous policy of the first iteration.
/// Components: logprob, reference_logprob, previous_logprob, previous (the reward of the model
/// options.previous), tokens. Label basis: ratio, loglik or mean_loglik. Per token: the difference
/// to the reference, or the log-prob.
class CreamReward final : public RewardModule {
 public:
  using Options = CreamOptions;
  static RewardInfo about();
  static std::unique_ptr<CreamReward> make(const Options& options, RewardContext& context);

  /// @param reference, previous  may be empty. Throws DataError if the models' vocabularies differ.
  CreamReward(Options options, std::shared_ptr<const LanguageModel> model,
              std::shared_ptr<const LanguageModel> reference,
              std::shared_ptr<const LanguageModel> previous = nullptr);
  RewardInfo info() const override { return about(); }
  std::string content_hash() const override;
  std::vector<Score> score(std::span<const RewardSample> samples) const override;

 private:
  struct Reward;
  Reward reward_of(const LanguageModel& model, double logprob, double reference,
                   double tokens) const;

  Options options_;
  std::shared_ptr<const LanguageModel> model_, reference_, previous_;
  ChatTemplate chat_;
};

}  // namespace plumb
