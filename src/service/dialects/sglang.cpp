#include "core/error.hpp"
#include "service/body_fields.hpp"
#include "service/dialects/shared_paths.hpp"
#include "service/items.hpp"

/// SGLang's own routes where they differ from vLLM's.
namespace plumb::service {

ScorePlan sglang_classify(const Call& call) {
  ScorePlan plan;
  plan.modules = modules_of_model(call);
  const nlohmann::json* text = find_field(call.body, "text");
  const char* name = text != nullptr ? "text" : "input_ids";
  const nlohmann::json& input = need_field(call.body, name);
  plan.items = items_from_input(call, input, name);
  const bool one =
      input.is_string() || (input.is_array() && !input.empty() && input[0].is_number());
  plan.render = [one, id = call.request.id](const ScoreJob& job) {
    OrderedJson rows = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i) {
      const ScoreItem& item = job.items[i];
      rows.push_back({{"embedding", {value_of(job, i)}},
                      {"meta_info",
                       {{"id", id},
                        {"prompt_tokens", item.prompt_tokens + item.response_tokens},
                        {"e2e_latency", job.exchange->costs.queue_us * 1e-6 +
                                            job.exchange->costs.inference_us * 1e-6}}}});
    }
    return json_reply(one ? rows[0] : rows);
  };
  return plan;
}

ScorePlan sglang_score(const Call& call) {
  if (find_field(call.body, "label_token_ids") != nullptr)
    throw Problem(400,
                  "\"label_token_ids\": the service gives one reward for an item, not "
                  "probabilities of tokens; leave it out, or use /v1/completions with echo",
                  "label_token_ids");
  ScorePlan plan;
  plan.modules = modules_of_model(call);
  const std::string query = text_of(need_field(call.body, "query"), "query");
  for (const std::string& item : one_or_more_texts(need_field(call.body, "items"), "items"))
    plan.items.push_back(item_from_pair(query, item));
  const bool squash = bool_field(call.body, "apply_softmax", false);
  if (squash)
    throw Problem(400, "\"apply_softmax\": a softmax over one reward is always 1; leave it out",
                  "apply_softmax");
  plan.render = [model = reply_model(call)](const ScoreJob& job) {
    OrderedJson rows = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i) rows.push_back({value_of(job, i)});
    return json_reply({{"scores", std::move(rows)},
                       {"model", model},
                       {"usage", usage_of(job)},
                       {"object", "scoring"}});
  };
  return plan;
}

}  // namespace plumb::service
