#include "service/dialects/completion_tasks.hpp"

#include <algorithm>

#include "core/hash.hpp"

namespace plumb::service {
namespace {

const char* finish_name(const RolloutResponse& response) {
  return response.finish == FinishReason::kStop ? "stop" : "length";
}

}  // namespace

std::int64_t Completion::prompt_tokens() const {
  std::int64_t tokens = 0;
  for (const auto& prompt : prompts) tokens += static_cast<std::int64_t>(prompt.size());
  return tokens;
}

std::size_t Completion::choices() const {
  return prompts.size() * static_cast<std::size_t>(fields.samples);
}

std::size_t Completion::choice(std::size_t prompt, const RolloutResponse& response) const {
  return prompt * static_cast<std::size_t>(fields.samples) +
         static_cast<std::size_t>(response.sample);
}

OrderedJson Completion::usage(std::int64_t generated) const {
  return {{"prompt_tokens", prompt_tokens()},
          {"total_tokens", prompt_tokens() + generated},
          {"completion_tokens", generated}};
}

OrderedJson Completion::frame(OrderedJson choices, bool is_chunk) const {
  const char* object =
      chat ? (is_chunk ? "chat.completion.chunk" : "chat.completion") : "text_completion";
  return {{"id", id},
          {"object", object},
          {"created", created},
          {"model", model},
          {"choices", std::move(choices)}};
}

std::vector<RolloutRequest> Completion::requests() const {
  std::vector<RolloutRequest> all;
  if (fields.max_tokens == 0) return all;
  for (const auto& prompt : prompts) {
    RolloutRequest& request = all.emplace_back();
    request.prompt_ids = prompt;
    request.guide_prompts = guide_prompts;
    request.samples = fields.samples;
    request.stream = static_cast<std::uint64_t>(text_hash63(
        {reinterpret_cast<const char*>(prompt.data()), prompt.size() * sizeof(std::int32_t)}));
    request.sampling = fields.sampling;
    request.seed = fields.seed.value_or(static_cast<std::uint64_t>(text_hash63(id)));
    request.top_logprobs = std::max<std::int64_t>(0, fields.top_logprobs);
  }
  return all;
}

std::vector<std::vector<TokenLogprob>> CompletionTask::echoed_logprobs() {
  if (!completion_.echo || !wants_logprobs())
    return std::vector<std::vector<TokenLogprob>>(completion_.prompts.size());
  return model_.score(completion_.prompts, completion_.fields.top_logprobs);
}

OrderedJson CompletionTask::logprobs_of(std::vector<TokenLogprob> rows, std::size_t& offset) const {
  if (!wants_logprobs()) return nullptr;
  return completion_.chat
             ? chat_logprobs(model_.tokenizer(), rows, completion_.fields)
             : completion_logprobs(model_.tokenizer(), rows, completion_.fields, offset);
}

std::vector<RolloutRequest> WholeCompletion::begin() {
  echoed_ = echoed_logprobs();
  responses_.resize(completion_.choices());
  return completion_.requests();
}

void WholeCompletion::done(RolloutResponse&& response) {
  const std::size_t index = completion_.choice(response.request, response);
  responses_[index] = std::move(response);
}

OrderedJson WholeCompletion::choice(std::size_t index) const {
  const RolloutResponse& response = responses_[index];
  const std::size_t prompt = index / static_cast<std::size_t>(completion_.fields.samples);
  std::string text = response_text(model_.tokenizer(), response, completion_.fields.sampling.stop);
  if (completion_.echo) text = model_.tokenizer().decode(completion_.prompts[prompt]) + text;
  std::vector<TokenLogprob> rows = echoed_[prompt];
  for (TokenLogprob& row : response_logprobs(response, 0)) rows.push_back(std::move(row));
  std::size_t offset = 0;
  OrderedJson out{{"index", index}};
  if (completion_.chat) {
    out["message"] = {{"role", "assistant"}, {"content", std::move(text)}};
  } else {
    out["text"] = std::move(text);
  }
  out["logprobs"] = logprobs_of(std::move(rows), offset);
  out["finish_reason"] = finish_name(response);
  out["stop_reason"] = nullptr;
  return out;
}

void WholeCompletion::end() {
  OrderedJson choices = OrderedJson::array();
  std::int64_t generated = 0;
  for (std::size_t i = 0; i < responses_.size(); ++i) {
    generated += static_cast<std::int64_t>(responses_[i].ids.size());
    choices.push_back(choice(i));
  }
  OrderedJson body = completion_.frame(std::move(choices), false);
  body["usage"] = completion_.usage(generated);
  exchange_.reply(json_reply(body));
}

std::vector<RolloutRequest> StreamedCompletion::begin() {
  const Tokenizer& tokenizer = model_.tokenizer();
  choices_.resize(completion_.choices(), {TextStream(tokenizer, completion_.fields.sampling.stop)});
  std::vector<std::vector<TokenLogprob>> echoed = echoed_logprobs();
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const std::size_t prompt = i / static_cast<std::size_t>(completion_.fields.samples);
    if (completion_.chat) {
      send(i, {{"role", "assistant"}, {"content", ""}}, "", nullptr, nullptr);
    } else if (completion_.echo) {
      send(i, nullptr, tokenizer.decode(completion_.prompts[prompt]),
           logprobs_of(echoed[prompt], choices_[i].offset), nullptr);
    }
  }
  return completion_.requests();
}

void StreamedCompletion::token(std::size_t index, const RolloutResponse& response) {
  ++generated_;
  const std::size_t place = completion_.choice(index, response);
  Choice& choice = choices_[place];
  const std::string text = choice.text.grow(response);
  if (!text.empty())
    send(place, {{"content", text}}, text, fresh_logprobs(choice, response), nullptr);
}

void StreamedCompletion::done(RolloutResponse&& response) {
  const std::size_t place = completion_.choice(response.request, response);
  Choice& choice = choices_[place];
  const std::string rest = choice.text.finish(response);
  OrderedJson logprobs =
      choice.told < response.ids.size() ? fresh_logprobs(choice, response) : OrderedJson(nullptr);
  send(place, rest.empty() ? OrderedJson::object() : OrderedJson{{"content", rest}}, rest,
       std::move(logprobs), finish_name(response));
}

void StreamedCompletion::end() {
  if (completion_.fields.include_usage) {
    OrderedJson last = completion_.frame(OrderedJson::array(), true);
    last["usage"] = completion_.usage(generated_);
    event(last);
  }
  exchange_.send_event("data: [DONE]\n\n");
  exchange_.end_stream();
}

OrderedJson StreamedCompletion::fresh_logprobs(Choice& choice, const RolloutResponse& response) {
  std::vector<TokenLogprob> rows = response_logprobs(response, choice.told);
  choice.told = response.ids.size();
  return logprobs_of(std::move(rows), choice.offset);
}

void StreamedCompletion::send(std::size_t index, OrderedJson delta, const std::string& text,
                              OrderedJson logprobs, OrderedJson finish) {
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

void StreamedCompletion::event(const OrderedJson& body) {
  exchange_.send_event("data: " + json_reply(body).body + "\n\n");
}

}  // namespace plumb::service
