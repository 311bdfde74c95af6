#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "rewards/language_model.hpp"

namespace plumb {

struct KindVoteOptions {
  std::string instruction =
      "Does this request ask for a short fact or for free writing? Reply with fact or writing.";
  std::vector<std::string> words{"Writing", "Fact"};
  bool calibrate = true;
  std::string chat = "auto";

  static void describe(auto& self, auto&& field) {
    field("qtype_instruction", self.instruction, "what source lm asks after the query");
    field("qtype_words", self.words, "answers that stand for open and for constrained");
    field("qtype_calibrate", self.calibrate,
          "take off what the model answers to the query N/A (arXiv 2102.09690)");
    field("qtype_chat", self.chat, Choices{chat_choices()}, "chat format of the model");
  }
};

/// A language model's vote on the type of a query: the query and one line of instruction make a
/// user turn, and the mean log-probs of two label words as its answer are compared.
///
/// A 135M model is right on 84 % of the quickstart's 140 prompts with the default words, on which
/// they were chosen (docs/results.md).
class KindVote {
 public:
  /// Throws UsageError unless there are two different words, DataError if the model has no chat
  /// format.
  KindVote(std::shared_ptr<const LanguageModel> model, KindVoteOptions options);

  /// Nats a token: mean log-prob of the word for constrained minus that of the word for open, less
  /// the same for the query "N/A". Positive means constrained. Empty for a query that the model's
  /// context cannot hold. One value a query, in order.
  std::vector<std::optional<double>> log_odds(std::span<const std::string> queries) const;
  const std::string& content_hash() const { return model_->content_hash; }

 private:
  std::vector<std::optional<double>> raw_log_odds(std::span<const std::string> queries) const;

  std::shared_ptr<const LanguageModel> model_;
  KindVoteOptions options_;
  ChatTemplate chat_;
  double bias_ = 0;
};

}  // namespace plumb
