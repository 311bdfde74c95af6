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
#include "service/text_task.hpp"

namespace plumb::service {

/// Fields stand in replies in the order they are written.
using OrderedJson = nlohmann::ordered_json;

/// The shape of a refusal: each family of clients reads its own.
enum class ErrorStyle {
  kOpenAi,  // {"error": {"message", "type", "param", "code"}}
  kFlat,    // {"object": "error", "message", "type", "param", "code"}
  kTei,     // {"error", "error_type"}
  kKserve,  // {"error"}
  kDetail,  // {"detail"}
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
  std::vector<std::string> modules;                       // by name; empty: the first one
  bool needs_module = true;                               // false: none if none is named
  std::vector<std::shared_ptr<const ServedModule>> more;  // behind those; the request's own
  std::vector<ScoreItem> items;
  std::optional<bool> truncate;            // the client's own wish about texts that are too long
  std::optional<std::int64_t> max_length;  // tokens, below the service's own limit
  std::function<Reply(const ScoreJob&)> render;
};

/// What a completion route wants the policy to do. The task answers the exchange; what it throws
/// (Problem, DataError) becomes the reply, or the last event of a stream.
struct TextPlan {
  std::int64_t tokens = 0;  // prompts and longest responses
  bool streams = false;
  std::function<std::unique_ptr<TextTask>(TextModel& model, Exchange& exchange)> start;
};

/// A POST route. Exactly one of the three functions is set; each throws Problem.
struct Route {
  std::string path;
  ErrorStyle (*style)(const nlohmann::json& body);
  ScorePlan (*plan)(const Call& call) = nullptr;     // scores texts
  Reply (*answer)(const Call& call) = nullptr;       // answers at once
  TextPlan (*complete)(const Call& call) = nullptr;  // asks the policy
  bool takes_put = false;                            // PUT does the same
};
/// All routes of the dialects; each family of clients has one file in dialects/.
const std::vector<Route>& post_routes();

std::vector<Route> native_routes();
std::vector<Route> openrlhf_routes();
std::vector<Route> vllm_routes();
std::vector<Route> tei_routes();
std::vector<Route> llama_factory_routes();
std::vector<Route> completion_routes();
/// The route of every path of --route-scalar.
Route scalar_route();
/// The route of /v2/models/NAME/infer and /v2/models/NAME/versions/V/infer.
Route kserve_route();

ErrorStyle openai_errors(const nlohmann::json& body);

}  // namespace plumb::service
