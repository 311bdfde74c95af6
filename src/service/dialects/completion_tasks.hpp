#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "service/dialects/generated_text.hpp"
#include "service/text_task.hpp"

/// How completion requests are sampled and answered. `echo` with max_tokens 0 and logprobs scores a
/// given text. Log-probs are those of the policy itself, without temperature, filters and guides.
namespace plumb::service {

/// What a completion request wants.
struct Completion {
  GenerationFields fields;
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<std::vector<std::int32_t>> guide_prompts;  // of a chat: as each guide reads it
  std::string id, model;
  std::int64_t created = 0;
  bool chat = false, echo = false;

  std::int64_t prompt_tokens() const;
  std::size_t choices() const;
  /// Place of a sample among the choices: all samples of the first prompt, then of the next one.
  std::size_t choice(std::size_t prompt, const RolloutResponse& response) const;
  OrderedJson usage(std::int64_t generated) const;
  OrderedJson frame(OrderedJson choices, bool is_chunk) const;
  std::vector<RolloutRequest> requests() const;
};

/// What both ways of answering share.
class CompletionTask : public TextTask {
 public:
  CompletionTask(std::shared_ptr<const Completion> completion, TextModel& model, Exchange& exchange)
      : completion_(*completion),
        model_(model),
        exchange_(exchange),
        held_(std::move(completion)) {}

 protected:
  bool wants_logprobs() const { return completion_.fields.top_logprobs >= 0; }
  /// Log-probs of the prompts' tokens if they are echoed with them, else nothing.
  std::vector<std::vector<TokenLogprob>> echoed_logprobs();
  /// In the route's shape; null if none are wanted. @param offset  characters before the first
  /// token; those of the tokens are added
  OrderedJson logprobs_of(std::vector<TokenLogprob> rows, std::size_t& offset) const;

  const Completion& completion_;
  TextModel& model_;
  Exchange& exchange_;

 private:
  std::shared_ptr<const Completion> held_;
};

/// Answers when everything is sampled.
class WholeCompletion final : public CompletionTask {
 public:
  using CompletionTask::CompletionTask;
  std::vector<RolloutRequest> begin() override;
  void token(std::size_t, const RolloutResponse&) override {}
  void done(RolloutResponse&& response) override;
  void end() override;

 private:
  OrderedJson choice(std::size_t index) const;

  std::vector<std::vector<TokenLogprob>> echoed_;  // of each prompt
  std::vector<RolloutResponse> responses_;         // of each choice
};

/// Sends text and log-probs as they come. The pieces add up to the whole answer.
class StreamedCompletion final : public CompletionTask {
 public:
  using CompletionTask::CompletionTask;
  std::vector<RolloutRequest> begin() override;
  void token(std::size_t index, const RolloutResponse& response) override;
  void done(RolloutResponse&& response) override;
  void end() override;

 private:
  struct Choice {
    TextStream text;
    std::size_t told = 0;    // tokens whose log-probs were sent
    std::size_t offset = 0;  // characters of these and of an echo
  };
  /// Log-probs of the tokens that were not told yet.
  OrderedJson fresh_logprobs(Choice& choice, const RolloutResponse& response);
  void send(std::size_t index, OrderedJson delta, const std::string& text, OrderedJson logprobs,
            OrderedJson finish);
  void event(const OrderedJson& body);

  std::vector<Choice> choices_;
  std::int64_t generated_ = 0;
};

}  // namespace plumb::service
