#pragma once
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "service/http_message.hpp"
#include "service/options.hpp"
#include "service/problem.hpp"
#include "service/score_job.hpp"

namespace plumb::service {

/// Fields stand in replies in the order they are written.
using OrderedJson = nlohmann::ordered_json;

/// The shape of a refusal: each family of clients reads its own.
enum class ErrorStyle {
  kOpenAi,  // {"error": {"message", "type", "param", "code"}}
  kFlat,    // {"object": "error", "message", "type", "param", "code"}
  kTei,     // {"error", "error_type"}
  kKserve,  // {"error"}
};
Reply error_reply(ErrorStyle style, int status, const std::string& message,
                  const std::string& field = "");
Reply error_reply(ErrorStyle style, const Problem& problem);

Reply json_reply(const OrderedJson& body, int status = 200);

/// A request as its route sees it.
struct Call {
  const HttpRequest& request;
  const nlohmann::json& body;
  const ServedModels& models;
  const ServeOptions& options;
  std::int64_t created;  // Unix seconds
};

/// What a scoring route wants to know, and how it tells the client.
struct ScorePlan {
  std::vector<std::string> modules;  // by name; empty: the first one
  std::vector<ScoreItem> items;
  std::optional<bool> truncate;  // the client's own wish about texts that are too long
  std::function<Reply(const ScoreJob&)> render;
};

/// A route that scores texts. `plan` throws Problem.
struct ScoreRoute {
  std::string path;
  ErrorStyle (*style)(const nlohmann::json& body);
  ScorePlan (*plan)(const Call& call);
};
/// All scoring routes; those of one family stand in one file of dialects/.
const std::vector<ScoreRoute>& score_routes();

ScorePlan plan_rewards(const Call& call);     // dialects/native.cpp
ScorePlan plan_get_reward(const Call& call);  // dialects/openrlhf.cpp
ScorePlan plan_scalar(const Call& call);      // dialects/scalar.cpp

}  // namespace plumb::service
