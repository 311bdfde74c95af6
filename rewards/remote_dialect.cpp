#include "rewards/remote_dialect.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestMessage = 300;

json parsed(const std::string& reply) {
  json body = json::parse(reply, nullptr, false);
  if (body.is_discarded()) throw DataError("the server's reply is not JSON");
  return body;
}

const json& list_of(const json& body, const char* name) {
  if (!body.is_object() || !body.contains(name) || !body[name].is_array())
    throw DataError(cat("the server's reply has no list \"", name, "\""));
  return body[name];
}

/// A text of an object, empty if there is none.
std::string text_in(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

void check_count(std::size_t given, std::size_t count) {
  if (given != count)
    throw DataError(cat("the server returned ", given, " scores for ", count, " responses"));
}

/// Fills in a finite number; everything else is a reason for there being none.
void read_value(const json& value, Score& score) {
  if (value.is_number() && std::isfinite(value.get<double>())) {
    score.value = score.raw = value.get<double>();
  } else {
    score.error =
        cat("the server's score is ",
            value.is_null() ? "missing" : cat("no finite number but a JSON ", value.type_name()));
  }
}

json native_sample(const RewardSample& sample) {
  json messages = json::array();
  for (const Message& message : sample.messages)
    messages.push_back({{"role", message.role}, {"content", message.content}});
  json out{{"messages", std::move(messages)},
           {"response", sample.response},
           {"finished", sample.finished}};
  if (!sample.response_ids.empty()) out["response_token_ids"] = sample.response_ids;
  if (sample.reference) out["reference_answer"] = *sample.reference;
  if (sample.kind) out["kind"] = *sample.kind;
  return out;
}

void read_components(const json& components, Score& score) {
  if (!components.is_object()) return;
  for (const auto& [name, value] : components.items()) {
    if (value.is_number() && std::isfinite(value.get<double>())) {
      score.components.emplace_back(name, value.get<double>());
    } else if (value.is_string()) {
      score.labels.emplace_back(name, value.get<std::string>());
    }
  }
}

/// Token rewards of the response's own tokens; a label tells of others.
void read_token_rewards(const json& values, const RewardSample& sample, Score& score) {
  if (!values.is_array() || values.empty()) return;
  const bool is_whole = std::ranges::all_of(values, [](const json& value) {
    return value.is_number() && std::isfinite(value.get<float>());
  });
  if (is_whole && values.size() == sample.response_ids.size()) {
    score.per_token = values.get<std::vector<float>>();
  } else {
    score.labels.emplace_back("token_rewards",
                              cat("not kept: ", values.size(), is_whole ? " values" : " entries",
                                  " for ", sample.response_ids.size(), " tokens"));
  }
}

Score native_score(const json& row, std::size_t index, const RewardSample& sample) {
  Score score;
  if (!row.is_object() || row.value("index", json(index)) != index)
    throw DataError(cat("the server's reply has no row ", index, " at its place"));
  read_value(row.value("score", json()), score);
  if (!score.value) {
    if (const std::string error = text_in(row, "error"); !error.empty()) score.error = error;
    return score;
  }
  const json modules = row.value("modules", json());
  if (!modules.is_object() || modules.empty()) return score;
  const json& entry = *modules.begin();
  if (!entry.is_object()) return score;
  if (const json raw = entry.value("raw", json()); raw.is_number()) score.raw = raw.get<double>();
  read_components(entry.value("components", json()), score);
  read_token_rewards(entry.value("token_rewards", json()), sample, score);
  return score;
}

json openrlhf_request(const ChatTemplate& chat, std::span<const RewardSample> samples) {
  json queries = json::array(), prompts = json::array(), labels = json::array();
  for (const RewardSample& sample : samples) {
    const std::string prompt = chat.render(sample.messages, true).text;
    queries.push_back(prompt + sample.response + (sample.finished ? chat.end_of_turn() : ""));
    prompts.push_back(prompt);
    labels.push_back(sample.reference.value_or(""));
  }
  return {{"query", std::move(queries)},
          {"prompts", std::move(prompts)},
          {"labels", std::move(labels)}};
}

}  // namespace

std::string RemoteDialect::request(std::span<const RewardSample> samples) const {
  if (!native) return openrlhf_request(chat, samples).dump();
  json list = json::array();
  for (const RewardSample& sample : samples) list.push_back(native_sample(sample));
  json body{{"samples", std::move(list)}, {"return", {"components", "token_rewards"}}};
  if (!module.empty()) body["modules"] = {module};
  return body.dump();
}

std::vector<Score> RemoteDialect::scores(const std::string& reply,
                                         std::span<const RewardSample> samples) const {
  const std::size_t count = samples.size();
  const json body = parsed(reply);
  const json& rows = list_of(body, native ? "data" : "rewards");
  check_count(rows.size(), count);
  std::vector<Score> scores;
  for (std::size_t i = 0; i < count; ++i) {
    if (native) {
      scores.push_back(native_score(rows[i], i, samples[i]));
    } else {
      read_value(rows[i], scores.emplace_back());
    }
  }
  return scores;
}

std::string remote_message(const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  std::string text;
  if (parsed.is_object()) {
    const json error =
        parsed.value("error", parsed.value("detail", parsed.value("message", json())));
    if (error.is_string()) text = error.get<std::string>();
    if (error.is_object() && error.value("message", json()).is_string())
      text = error["message"].get<std::string>();
  } else if (parsed.is_discarded()) {
    text = to_valid_utf8(body.substr(0, kLongestMessage));
  }
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  if (text.size() > kLongestMessage)
    text = text.substr(0, complete_utf8_prefix(text.substr(0, kLongestMessage))) + "...";
  return text;
}

RemoteModule remote_module(const std::string& reply, const std::string& module) {
  const json body = parsed(reply);
  std::vector<std::string> names;
  for (const json& row : list_of(body, "data")) {
    if (!row.is_object() || !row.value("reward", json()).is_object()) continue;
    const std::string name = text_in(row, "id");
    names.push_back(name);
    if (!module.empty() && name != module) continue;
    const json& facts = row["reward"];
    return {name, text_in(facts, "fingerprint"), text_in(facts, "unit")};
  }
  if (names.empty()) throw DataError("the server names no reward module");
  throw UsageError(
      cat("remote.module = ", module, ": not on the server, which has ", join(names, ", ")));
}

}  // namespace plumb
