#include <algorithm>
#include <limits>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "service/body_fields.hpp"
#include "service/items.hpp"

/// The service's own route. One bad item gets its own error and score null; only a request without
/// any score is refused as a whole.
namespace plumb::service {
namespace {

struct Wanted {
  bool components = false, token_rewards = false, logprobs = false;
};

Wanted wanted_of(const nlohmann::json& body) {
  Wanted wanted;
  const nlohmann::json* list = find_field(body, "return");
  if (list == nullptr) return wanted;
  for (const std::string& name : texts_of(*list, "return")) {
    if (name == "components") {
      wanted.components = true;
    } else if (name == "token_rewards") {
      wanted.token_rewards = true;
    } else if (name == "logprobs") {
      wanted.logprobs = true;
    } else {
      throw Problem(400,
                    cat("\"return\": '", name, "', expected components, token_rewards or logprobs"),
                    "return");
    }
  }
  return wanted;
}

std::vector<std::string> modules_of(const Call& call) {
  const nlohmann::json* list = find_field(call.body, "modules");
  if (list == nullptr) return modules_of_model(call);
  std::vector<std::string> names = texts_of(*list, "modules");
  for (const std::string& name : names) {
    if (call.models.find(name) != nullptr) continue;
    std::vector<std::string> known;
    for (const ServedModule& module : call.models.modules) known.push_back(module.name);
    throw Problem(404,
                  cat("the reward module '", name, "' is not loaded; loaded: ", join(known, ", ")),
                  "modules");
  }
  return names;
}

/// The prompt as the client gave it: `prompt` (text or messages) or `messages`.
std::vector<Message> prompt_of(const nlohmann::json& sample, const std::string& place) {
  if (const nlohmann::json* messages = find_field(sample, "messages"))
    return messages_of(*messages, place + ".messages");
  const nlohmann::json& prompt = need_field(sample, "prompt");
  if (prompt.is_array()) return messages_of(prompt, place + ".prompt");
  return {{"user", text_of(prompt, place + ".prompt")}};
}

/// Text, token ids, or both: then the text counts, and a module keeps the ids if its own model
/// reads them as this text.
void read_response(const Call& call, const nlohmann::json& given, const std::string& place,
                   RewardSample& sample) {
  const nlohmann::json* ids = find_field(given, "response_token_ids");
  const nlohmann::json* text = find_field(given, "response");
  if (ids == nullptr || text != nullptr)
    sample.response = text_of(need_field(given, "response"), place + ".response");
  if (ids == nullptr) return;
  const Tokenizer* tokenizer = call.models.tokenizer.get();
  if (text == nullptr && tokenizer == nullptr)
    throw Problem(400, "response_token_ids need a tokenizer: set serve.tokenizer, or send text",
                  place);
  const std::int64_t most =
      text != nullptr ? std::numeric_limits<std::int32_t>::max() : tokenizer->vocab_size();
  sample.response_ids = ids_of(*ids, place + ".response_token_ids", most);
  if (text == nullptr) sample.response = tokenizer->decode(sample.response_ids, true);
}

ScoreItem read_sample(const Call& call, const nlohmann::json& given, const std::string& place) {
  if (!given.is_object())
    throw Problem(400, cat("\"", place, "\" is a JSON ", given.type_name(), ", expected an object"),
                  place);
  ScoreItem item;
  RewardSample& sample = item.sample;
  sample.messages = prompt_of(given, place);
  read_response(call, given, place, sample);
  if (const nlohmann::json* answer = find_field(given, "reference_answer"))
    sample.reference = text_of(*answer, place + ".reference_answer");
  if (const nlohmann::json* kind = find_field(given, "kind"))
    sample.kind = text_of(*kind, place + ".kind");
  sample.finished = bool_field(given, "finished", true);
  if (const auto id = given.find("id"); id != given.end()) item.id = id->dump();
  return item;
}

OrderedJson module_entry(const ModuleScore& entry, const Wanted& wanted) {
  const Score& score = *entry.score;
  OrderedJson out{{"score", score.value ? OrderedJson(*score.value) : OrderedJson(nullptr)},
                  {"raw", score.raw ? OrderedJson(*score.raw) : OrderedJson(nullptr)}};
  if (wanted.components) {
    OrderedJson& components = out["components"] = OrderedJson::object();
    for (const auto& [name, value] : score.components) components[name] = value;
    for (const auto& [name, text] : score.labels) components[name] = text;
  }
  if (wanted.token_rewards) out["token_rewards"] = score.per_token;
  if (entry.status != 0) out["error"] = score.error;
  return out;
}

/// Log-probs of the response's tokens under the policy, and these tokens; null where there are
/// none.
/// @return why there are none
std::string add_logprobs(OrderedJson& out, const ScoreJob& job, std::size_t index) {
  out["logprobs"] = out["response_token_ids"] = nullptr;
  if (!job.items[index].error.empty()) return "";
  const ModuleScore& logprobs = job.at(index, job.modules.size() - 1);
  if (logprobs.status != 0) return logprobs.score->error;
  out["logprobs"] = logprobs.score->per_token;
  out["response_token_ids"] = job.models->policy->tokens_of(job.items[index].sample).response;
  return "";
}

OrderedJson item_entry(const ScoreJob& job, std::size_t index, const Wanted& wanted) {
  const ScoreItem& item = job.items[index];
  OrderedJson out{{"index", index}};
  if (!item.id.empty()) out["id"] = OrderedJson::parse(item.id);
  std::string error = item.error;
  out["score"] = nullptr;
  OrderedJson& modules = out["modules"] = OrderedJson::object();
  const std::size_t count = job.modules.size() - (wanted.logprobs ? 1 : 0);
  if (error.empty() && count > 0) {
    for (std::size_t m = 0; m < count; ++m)
      modules[job.modules[m]->name] = module_entry(job.at(index, m), wanted);
    if (const ModuleScore& first = job.at(index, 0); first.status == 0) {
      out["score"] = *first.score->value;
    } else {
      error = first.score->error;
    }
  }
  out["prompt_tokens"] = item.prompt_tokens;
  out["response_tokens"] = item.response_tokens;
  out["truncated"] = item.truncated;
  if (wanted.logprobs) {
    const std::string reason = add_logprobs(out, job, index);
    if (error.empty()) error = reason;
  }
  if (!error.empty()) out["error"] = error;
  return out;
}

/// The worst status if nothing that was asked for is there, else 0.
int common_failure(const ScoreJob& job) {
  int worst = 0;
  for (std::size_t i = 0; i < job.items.size(); ++i) {
    if (!job.items[i].error.empty()) {
      worst = std::max(worst, job.items[i].error_status);
      continue;
    }
    for (std::size_t m = 0; m < job.modules.size(); ++m) {
      if (job.at(i, m).status == 0) return 0;
      worst = std::max(worst, job.at(i, m).status);
    }
  }
  return worst;
}

ScorePlan plan_rewards(const Call& call) {
  const nlohmann::json& samples = need_field(call.body, "samples");
  if (!samples.is_array()) throw Problem(400, "\"samples\": expected a list", "samples");
  ScorePlan plan;
  const Wanted wanted = wanted_of(call.body);
  plan.modules = modules_of(call);
  if (wanted.logprobs) {
    if (!call.models.logprobs)
      throw Problem(400,
                    "\"return\": logprobs are those of a policy, and none is loaded: set "
                    "serve.policy",
                    "return");
    plan.more = {call.models.logprobs};
    plan.needs_module = !call.models.modules.empty();
  }
  for (std::size_t i = 0; i < samples.size(); ++i)
    plan.items.push_back(read_sample(call, samples[i], cat("samples[", i, "]")));
  if (find_field(call.body, "truncate") != nullptr)
    plan.truncate = bool_field(call.body, "truncate", false);
  plan.render = [wanted, model = reply_model(call), id = "rwd-" + call.request.id,
                 created = call.created](const ScoreJob& job) {
    OrderedJson data = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i) data.push_back(item_entry(job, i, wanted));
    if (const int status = common_failure(job); status != 0)
      throw Problem(status, cat("no text has a score; the first: ",
                                data[0].value("error", std::string("failed"))));
    return json_reply({{"id", id},
                       {"object", "list"},
                       {"created", created},
                       {"model", model},
                       {"data", std::move(data)},
                       {"usage", usage_of(job)}});
  };
  return plan;
}

}  // namespace

std::vector<Route> native_routes() { return {{"/v1/rewards", openai_errors, plan_rewards}}; }

}  // namespace plumb::service
