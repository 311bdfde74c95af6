#include <algorithm>
#include <memory>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "service/body_fields.hpp"
#include "service/dialects/generated_text.hpp"
#include "service/items.hpp"
#include "service/policy_scores.hpp"

/// OpenAI's /v1/completions and /v1/chat/completions, as vLLM serves them. `echo` with max_tokens 0
/// and logprobs scores a given text. Log-probs are those of the policy itself, without temperature
/// and filters.
namespace plumb::service {
namespace {

/// One completion request; shared by what happens on the compute thread.
struct Completion {
  GenerationFields fields;
  std::vector<std::vector<std::int32_t>> prompts;
  std::vector<std::vector<std::int32_t>> guide_prompts;  // of a chat: as each guide reads it
  std::string id, model;
  std::int64_t created = 0;
  bool chat = false, echo = false;

  std::int64_t prompt_tokens() const {
    std::int64_t tokens = 0;
    for (const auto& prompt : prompts) tokens += static_cast<std::int64_t>(prompt.size());
    return tokens;
  }
  std::size_t choice(const RolloutResponse& response) const {
    return response.request * static_cast<std::size_t>(fields.samples) +
           static_cast<std::size_t>(response.sample);
  }
  OrderedJson usage(std::int64_t generated) const {
    return {{"prompt_tokens", prompt_tokens()},
            {"total_tokens", prompt_tokens() + generated},
            {"completion_tokens", generated}};
  }
  OrderedJson frame(OrderedJson choices, bool chunk) const {
    const char* object =
        chat ? (chunk ? "chat.completion.chunk" : "chat.completion") : "text_completion";
    return {{"id", id},
            {"object", object},
            {"created", created},
            {"model", model},
            {"choices", std::move(choices)}};
  }
};

const char* finish_name(const RolloutResponse& response) {
  return response.finish == FinishReason::kStop ? "stop" : "length";
}

std::vector<RolloutRequest> requests_of(const Completion& completion) {
  std::vector<RolloutRequest> requests;
  for (const auto& prompt : completion.prompts) {
    RolloutRequest request;
    request.prompt_ids = prompt;
    request.guide_prompts = completion.guide_prompts;
    request.samples = completion.fields.samples;
    request.stream = static_cast<std::uint64_t>(text_hash63(
        {reinterpret_cast<const char*>(prompt.data()), prompt.size() * sizeof(std::int32_t)}));
    requests.push_back(std::move(request));
  }
  return requests;
}

std::uint64_t seed_of(const Completion& completion) {
  return completion.fields.seed.value_or(static_cast<std::uint64_t>(text_hash63(completion.id)));
}

OrderedJson completion_choice(const Completion& completion, TextModel& model, std::size_t index,
                              const RolloutResponse& response,
                              const std::vector<TokenLogprob>& echoed) {
  const Tokenizer& tokenizer = model.tokenizer();
  const std::vector<std::int32_t>& prompt = completion.prompts[response.request];
  std::string text = response_text(tokenizer, response, completion.fields.sampling.stop);
  if (completion.echo) text = tokenizer.decode(prompt) + text;
  OrderedJson logprobs = nullptr;
  if (completion.fields.top_logprobs >= 0) {
    std::vector<TokenLogprob> rows = echoed;
    if (!response.ids.empty()) {
      const auto fresh = response_logprobs(model, prompt, response, completion.fields.top_logprobs);
      rows.insert(rows.end(), fresh.begin(), fresh.end());
    }
    logprobs = completion_logprobs(tokenizer, rows, completion.fields, 0);
  }
  return {{"index", index},
          {"text", std::move(text)},
          {"logprobs", std::move(logprobs)},
          {"finish_reason", finish_name(response)},
          {"stop_reason", nullptr}};
}

OrderedJson chat_choice(const Completion& completion, TextModel& model, std::size_t index,
                        const RolloutResponse& response) {
  OrderedJson logprobs = nullptr;
  if (completion.fields.top_logprobs >= 0)
    logprobs = chat_logprobs(model.tokenizer(),
                             response_logprobs(model, completion.prompts[response.request],
                                               response, completion.fields.top_logprobs),
                             completion.fields);
  return {
      {"index", index},
      {"message",
       {{"role", "assistant"},
        {"content", response_text(model.tokenizer(), response, completion.fields.sampling.stop)}}},
      {"logprobs", std::move(logprobs)},
      {"finish_reason", finish_name(response)},
      {"stop_reason", nullptr}};
}

/// All responses, by choice; what the client left behind is not finished.
std::vector<RolloutResponse> generate_all(const Completion& completion, const TextRun& run) {
  const auto samples = static_cast<std::size_t>(completion.fields.samples);
  std::vector<RolloutResponse> responses(completion.prompts.size() * samples);
  for (std::size_t i = 0; i < responses.size(); ++i) {
    responses[i].request = i / samples;
    responses[i].sample = static_cast<std::int64_t>(i % samples);
  }
  if (completion.fields.max_tokens == 0) return responses;
  const std::vector<RolloutRequest> requests = requests_of(completion);
  run.model.generate(requests, completion.fields.sampling, seed_of(completion),
                     {[&](const RolloutResponse&) {
                        run.breathe();
                        return !run.exchange.abandoned.load();
                      },
                      [&](RolloutResponse&& response) {
                        const std::size_t choice = completion.choice(response);
                        responses[choice] = std::move(response);
                      }});
  return responses;
}

void answer_whole(const Completion& completion, const TextRun& run) {
  std::vector<std::vector<TokenLogprob>> echoed(completion.prompts.size());
  if (completion.echo && completion.fields.top_logprobs >= 0)
    echoed = run.model.score(completion.prompts, completion.fields.top_logprobs);
  const std::vector<RolloutResponse> responses = generate_all(completion, run);
  if (run.exchange.abandoned) return;
  OrderedJson choices = OrderedJson::array();
  std::int64_t generated = 0;
  for (std::size_t i = 0; i < responses.size(); ++i) {
    generated += static_cast<std::int64_t>(responses[i].ids.size());
    choices.push_back(completion.chat ? chat_choice(completion, run.model, i, responses[i])
                                      : completion_choice(completion, run.model, i, responses[i],
                                                          echoed[responses[i].request]));
  }
  OrderedJson body = completion.frame(std::move(choices), false);
  body["usage"] = completion.usage(generated);
  run.exchange.reply(json_reply(body));
}

/// Sends tokens as they come.
class Streamer {
 public:
  Streamer(const Completion& completion, const TextRun& run)
      : completion_(completion),
        run_(run),
        streams_(completion.prompts.size() * static_cast<std::size_t>(completion.fields.samples),
                 TextStream(run.model.tokenizer(), completion.fields.sampling.stop)) {}

  void run() {
    if (completion_.chat) {
      for (std::size_t i = 0; i < streams_.size(); ++i)
        send(i, {{"role", "assistant"}, {"content", ""}}, "", nullptr, nullptr);
    } else if (completion_.echo) {
      for (std::size_t i = 0; i < streams_.size(); ++i)
        send_text(
            i, run_.model.tokenizer().decode(
                   completion_.prompts[i / static_cast<std::size_t>(completion_.fields.samples)]));
    }
    if (completion_.fields.max_tokens > 0) generate();
    if (completion_.fields.include_usage) {
      OrderedJson last = completion_.frame(OrderedJson::array(), true);
      last["usage"] = completion_.usage(generated_);
      event(last);
    }
    run_.exchange.send_event("data: [DONE]\n\n");
    run_.exchange.end_stream();
  }

 private:
  void generate() {
    run_.model.generate(
        requests_of(completion_), completion_.fields.sampling, seed_of(completion_),
        {[&](const RolloutResponse& response) {
           ++generated_;
           const std::size_t index = completion_.choice(response);
           if (const std::string text = streams_[index].grow(response); !text.empty())
             send_text(index, text, last_logprob(response));
           run_.breathe();
           return !run_.exchange.abandoned.load();
         },
         [&](RolloutResponse&& response) {
           const std::size_t index = completion_.choice(response);
           const std::string rest = streams_[index].finish(response);
           send(index, rest.empty() ? OrderedJson::object() : OrderedJson{{"content", rest}}, rest,
                nullptr, finish_name(response));
         }});
  }
  OrderedJson last_logprob(const RolloutResponse& response) const {
    if (completion_.fields.top_logprobs < 0) return nullptr;
    const std::vector<TokenLogprob> row{{response.ids.back(), response.logp_policy.back(), {}}};
    const Tokenizer& tokenizer = run_.model.tokenizer();
    return completion_.chat ? chat_logprobs(tokenizer, row, completion_.fields)
                            : completion_logprobs(tokenizer, row, completion_.fields, 0);
  }
  void send_text(std::size_t index, const std::string& text, OrderedJson logprobs = nullptr) {
    send(index, OrderedJson{{"content", text}}, text, std::move(logprobs), nullptr);
  }
  void send(std::size_t index, OrderedJson delta, const std::string& text, OrderedJson logprobs,
            OrderedJson finish) {
    OrderedJson choice{{"index", index}};
    if (completion_.chat) {
      choice["delta"] = std::move(delta);
    } else {
      choice["text"] = text;
    }
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(finish);
    OrderedJson choices = OrderedJson::array();
    choices.push_back(std::move(choice));
    event(completion_.frame(std::move(choices), true));
  }
  void event(const OrderedJson& body) {
    run_.exchange.send_event("data: " + json_reply(body).body + "\n\n");
  }

  const Completion& completion_;
  const TextRun& run_;
  std::vector<TextStream> streams_;
  std::int64_t generated_ = 0;
};

TextPlan plan_of(std::shared_ptr<Completion> completion) {
  TextPlan plan;
  plan.streams = completion->fields.stream;
  plan.tokens =
      completion->prompt_tokens() + completion->fields.samples * completion->fields.max_tokens *
                                        static_cast<std::int64_t>(completion->prompts.size());
  plan.run = [completion](const TextRun& run) {
    if (completion->fields.stream) {
      Streamer(*completion, run).run();
    } else {
      answer_whole(*completion, run);
    }
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
