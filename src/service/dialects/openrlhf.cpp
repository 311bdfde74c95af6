#include "core/error.hpp"
#include "service/body_fields.hpp"
#include "service/items.hpp"

/// OpenRLHF: {"query", "prompts", "labels"} to {"rewards", "scores", "extra_logs"}. Every list has
/// one number a query; an empty query is an empty reply, since its clients send shards that may be
/// empty.
namespace plumb::service {
namespace {

/// A list beside `query` that may be absent, empty or of the same length.
const nlohmann::json* parallel_list(const nlohmann::json& body, const char* name,
                                    std::size_t size) {
  const nlohmann::json* list = find_field(body, name);
  if (list == nullptr || (list->is_array() && list->empty())) return nullptr;
  if (!list->is_array() || list->size() != size)
    throw Problem(400, cat("\"", name, "\": expected a list of ", size, ", one for each query"),
                  name);
  return list;
}

Reply render_get_reward(const ScoreJob& job) {
  OrderedJson rewards = OrderedJson::array();
  OrderedJson logs = OrderedJson::object();
  for (const ServedModule* module : job.modules) logs[module->name] = OrderedJson::array();
  for (std::size_t i = 0; i < job.items.size(); ++i) {
    rewards.push_back(value_of(job, i));
    for (std::size_t m = 0; m < job.modules.size(); ++m)
      logs[job.modules[m]->name].push_back(value_of(job, i, m));
  }
  return json_reply({{"rewards", rewards}, {"scores", rewards}, {"extra_logs", logs}});
}

ScorePlan plan_get_reward(const Call& call) {
  const std::vector<std::string> queries =
      one_or_more_texts(need_field(call.body, "query"), "query");
  const nlohmann::json* prompts = parallel_list(call.body, "prompts", queries.size());
  const nlohmann::json* labels = parallel_list(call.body, "labels", queries.size());
  ScorePlan plan;
  for (const ServedModule& module : call.models.modules) plan.modules.push_back(module.name);
  for (std::size_t i = 0; i < queries.size(); ++i) {
    std::optional<std::string> prompt;
    if (prompts != nullptr && (*prompts)[i].is_string()) prompt = (*prompts)[i].get<std::string>();
    ScoreItem item = item_from_text(queries[i], prompt);
    if (labels != nullptr && (*labels)[i].is_string())
      item.sample.reference = (*labels)[i].get<std::string>();
    plan.items.push_back(std::move(item));
  }
  plan.render = render_get_reward;
  return plan;
}

}  // namespace

std::vector<Route> openrlhf_routes() { return {{"/get_reward", openai_errors, plan_get_reward}}; }

}  // namespace plumb::service
