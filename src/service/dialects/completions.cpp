#include <algorithm>
#include <memory>

#include "core/error.hpp"
#include "service/body_fields.hpp"
#include "service/dialects/completion_tasks.hpp"
#include "service/items.hpp"
#include "service/policy_scores.hpp"

/// OpenAI's /v1/completions and /v1/chat/completions, as vLLM serves them.
namespace plumb::service {
namespace {

TextPlan plan_of(std::shared_ptr<Completion> completion) {
  TextPlan plan;
  plan.streams = completion->fields.stream;
  plan.tokens =
      completion->prompt_tokens() + completion->fields.samples * completion->fields.max_tokens *
                                        static_cast<std::int64_t>(completion->prompts.size());
  plan.start = [completion](TextModel& model, Exchange& exchange) -> std::unique_ptr<TextTask> {
    if (completion->fields.stream)
      return std::make_unique<StreamedCompletion>(completion, model, exchange);
    return std::make_unique<WholeCompletion>(completion, model, exchange);
  };
  return plan;
}

/// Checks the prompts and reads the fields that both routes share.
void fill(Completion& completion, const Call& call, const char* prefix, std::int64_t default_max) {
  const TextModel& policy = *call.models.policy;
  completion.id = prefix + call.request.id;
  completion.model = policy_model(call);
  completion.created = call.created;
  if (static_cast<std::int64_t>(completion.prompts.size()) > call.options.max_items)
    throw Problem(422, cat(completion.prompts.size(), " prompts, at most ", call.options.max_items,
                           " are taken"));
  std::size_t longest = 0;
  for (const auto& prompt : completion.prompts) {
    if (prompt.empty()) throw Problem(400, "a prompt has no token", "prompt");
    longest = std::max(longest, prompt.size());
  }
  for (const auto& prompt : completion.guide_prompts) longest = std::max(longest, prompt.size());
  const std::int64_t left = policy.max_length() - static_cast<std::int64_t>(longest);
  if (left < 0)
    throw Problem(400, cat("a prompt of ", longest, " tokens exceeds the model's context of ",
                           policy.max_length()));
  completion.fields = generation_fields(call.body, left, default_max);
}

TextPlan plan_completions(const Call& call) {
  constexpr std::int64_t kDefaultTokens = 16;
  const auto completion = std::make_shared<Completion>();
  const Tokenizer& tokenizer = call.models.policy->tokenizer();
  const nlohmann::json& prompt = need_field(call.body, "prompt");
  if (prompt.is_string()) {
    completion->prompts.push_back(encode_prompt(tokenizer, prompt.get<std::string>()));
  } else if (prompt.is_array() && !prompt.empty() && prompt[0].is_number()) {
    completion->prompts.push_back(ids_of(prompt, "prompt", tokenizer.vocab_size()));
  } else if (prompt.is_array()) {
    for (const nlohmann::json& one : prompt)
      completion->prompts.push_back(one.is_array()
                                        ? ids_of(one, "prompt", tokenizer.vocab_size())
                                        : encode_prompt(tokenizer, text_of(one, "prompt")));
  } else {
    throw Problem(400, "\"prompt\": expected text, token ids, or a list of either", "prompt");
  }
  completion->echo = bool_field(call.body, "echo", false);
  fill(*completion, call, "cmpl-", kDefaultTokens);
  return plan_of(completion);
}

TextPlan plan_chat(const Call& call) {
  constexpr std::int64_t kDefaultTokens = 512;
  const auto completion = std::make_shared<Completion>();
  completion->chat = true;
  const TextModel& policy = *call.models.policy;
  const std::vector<Message> messages = messages_of(need_field(call.body, "messages"), "messages");
  try {
    completion->prompts.push_back(policy.chat().encode(policy.tokenizer(), messages, true));
    completion->guide_prompts = policy.guide_prompts(messages);
  } catch (const DataError& error) {
    throw Problem(400, error.what(), "messages");
  }
  fill(*completion, call, "chatcmpl-", kDefaultTokens);
  return plan_of(completion);
}

}  // namespace

std::vector<Route> completion_routes() {
  return {{"/v1/completions", openai_errors, nullptr, nullptr, plan_completions},
          {"/v1/chat/completions", openai_errors, nullptr, nullptr, plan_chat}};
}

}  // namespace plumb::service
