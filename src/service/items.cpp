#include "service/items.hpp"

#include <cmath>

#include "core/base64.hpp"
#include "core/error.hpp"
#include "service/body_fields.hpp"
#include "service/chat_text.hpp"

namespace plumb::service {

const Tokenizer& need_tokenizer(const Call& call, const std::string& name) {
  if (!call.models.tokenizer)
    throw Problem(400,
                  cat("\"", name,
                      "\": the service has no tokenizer for token ids; set serve.tokenizer, or "
                      "send text"),
                  name);
  return *call.models.tokenizer;
}

ScoreItem item_from_pair(std::string prompt, std::string response) {
  ScoreItem item;
  item.sample.messages = {{"user", std::move(prompt)}};
  item.sample.response = std::move(response);
  return item;
}

ScoreItem item_from_messages(std::vector<Message> messages) {
  ScoreItem item;
  if (!messages.empty() && messages.back().role == "assistant") {
    item.sample.response = std::move(messages.back().content);
    messages.pop_back();
  } else {
    item.error = "the last message is not the assistant's: there is no response to score";
    item.error_status = 422;
  }
  item.sample.messages = std::move(messages);
  return item;
}

ScoreItem item_from_text(const std::string& text, const std::optional<std::string>& prompt) {
  ReadChat chat = read_chat_text(text);
  if (!chat.messages.empty()) {
    ScoreItem item = item_from_messages(std::move(chat.messages));
    item.sample.finished = !chat.last_is_open;
    return item;
  }
  if (prompt && text.starts_with(*prompt))
    return item_from_pair(*prompt, text.substr(prompt->size()));
  return item_from_pair(prompt.value_or(""), text);
}

ScoreItem item_from_ids(const Call& call, const nlohmann::json& ids, const std::string& name) {
  const Tokenizer& tokenizer = need_tokenizer(call, name);
  return item_from_text(tokenizer.decode(ids_of(ids, name, tokenizer.vocab_size())));
}

std::vector<ScoreItem> items_from_input(const Call& call, const nlohmann::json& input,
                                        const std::string& name) {
  if (input.is_string()) return {item_from_text(input.get<std::string>())};
  if (!input.is_array())
    throw Problem(400,
                  cat("\"", name, "\" is a JSON ", input.type_name(),
                      ", expected a string, a list of strings or token ids"),
                  name);
  if (!input.empty() && input[0].is_number()) return {item_from_ids(call, input, name)};
  std::vector<ScoreItem> items;
  for (std::size_t i = 0; i < input.size(); ++i) {
    const std::string place = cat(name, "[", i, "]");
    items.push_back(input[i].is_array() ? item_from_ids(call, input[i], place)
                                        : item_from_text(text_of(input[i], place)));
  }
  return items;
}

namespace {

/// What huggingface_hub 0.x and later versions send where their user gives an address alone.
bool is_nameless(const std::string& model) {
  return model.empty() || model == "tgi" || model == "dummy";
}

bool is_service(const Call& call, const std::string& model) {
  return is_nameless(model) || model == call.options.model_name;
}

[[noreturn]] void no_such_model(const std::string& model) {
  throw Problem(404, cat("the model '", model, "' does not exist"), "model");
}

}  // namespace

std::vector<std::string> modules_of_model(const Call& call) {
  const std::string model = text_field(call.body, "model");
  if (is_service(call, model)) return {};
  if (call.models.find(model) == nullptr) no_such_model(model);
  return {model};
}

std::string policy_model(const Call& call) {
  const std::string model = text_field(call.body, "model");
  if (model.empty()) return call.models.policy->name();
  if (model != call.models.policy->name() && !is_service(call, model)) no_such_model(model);
  return model;
}

std::string reply_model(const Call& call) {
  const std::string model = text_field(call.body, "model");
  return model.empty() ? call.options.model_name : model;
}

double value_of(const ScoreJob& job, std::size_t item, std::size_t module) {
  if (!job.items[item].error.empty())
    throw Problem(job.items[item].error_status,
                  cat("text ", item, " has no score: ", job.items[item].error));
  const ModuleScore& score = job.at(item, module);
  if (score.status != 0)
    throw Problem(score.status, cat("text ", item, " has no score: ", score.score->error));
  return *score.score->value;
}

double sigmoid(double value) { return 1 / (1 + std::exp(-value)); }

OrderedJson encoded_numbers(const nlohmann::json& body, const std::vector<double>& values) {
  const std::string format = text_field(body, "encoding_format", "float");
  if (format == "float") return values;
  if (format != "base64")
    throw Problem(400, cat("\"encoding_format\" = ", format, ", expected float or base64"),
                  "encoding_format");
  const std::vector<float> floats(values.begin(), values.end());
  return encode_base64(
      {reinterpret_cast<const char*>(floats.data()), floats.size() * sizeof(float)});
}

std::int64_t prompt_tokens(const ScoreJob& job) {
  std::int64_t tokens = 0;
  for (const ScoreItem& item : job.items) tokens += item.prompt_tokens + item.response_tokens;
  return tokens;
}

OrderedJson usage_of(const ScoreJob& job) {
  const std::int64_t tokens = prompt_tokens(job);
  return {{"prompt_tokens", tokens},
          {"total_tokens", tokens},
          {"completion_tokens", 0},
          {"prompt_tokens_details", nullptr}};
}

}  // namespace plumb::service
