#include "service/body_fields.hpp"
#include "service/items.hpp"

/// slime: one sample {"prompt", "response", "label"}; the whole reply is one JSON number.
namespace plumb::service {
namespace {

ScorePlan plan_scalar(const Call& call) {
  ScorePlan plan;
  plan.modules = modules_of_model(call);
  const nlohmann::json& prompt = need_field(call.body, "prompt");
  const std::string response = text_of(need_field(call.body, "response"), "response");
  if (prompt.is_array()) {
    std::vector<Message> messages = messages_of(prompt, "prompt");
    messages.push_back({"assistant", response});
    plan.items.push_back(item_from_messages(std::move(messages)));
  } else {
    const std::string text = text_of(prompt, "prompt");
    plan.items.push_back(item_from_text(text + response, text));
  }
  if (const nlohmann::json* label = find_field(call.body, "label");
      label != nullptr && label->is_string())
    plan.items.back().sample.reference = label->get<std::string>();
  plan.render = [](const ScoreJob& job) { return json_reply(value_of(job, 0)); };
  return plan;
}

}  // namespace

Route scalar_route() { return {"", openai_errors, plan_scalar}; }

}  // namespace plumb::service
