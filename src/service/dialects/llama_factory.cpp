#include "service/body_fields.hpp"
#include "service/items.hpp"

/// LLaMA-Factory's reward API: texts of whole chats to a list of scores. Its trainer always sends
/// the model name "model", so a name that is not loaded means the first module.
namespace plumb::service {
namespace {

ScorePlan plan_evaluation(const Call& call) {
  ScorePlan plan;
  if (const std::string model = text_field(call.body, "model"); call.models.find(model) != nullptr)
    plan.modules = {model};
  const std::vector<std::string> texts = texts_of(need_field(call.body, "messages"), "messages");
  if (texts.empty()) throw Problem(400, "Invalid request: \"messages\" is empty", "messages");
  for (const std::string& text : texts) plan.items.push_back(item_from_text(text));
  if (const auto length = integer_field(call.body, "max_length", 0, 1, 1'000'000'000); length > 0) {
    plan.max_length = length;
    plan.truncate = true;
  }
  plan.render = [id = "scoreeval-" + call.request.id,
                 model = reply_model(call)](const ScoreJob& job) {
    OrderedJson scores = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i) scores.push_back(value_of(job, i));
    return json_reply({{"id", id},
                       {"object", "score.evaluation"},
                       {"model", model},
                       {"scores", std::move(scores)}});
  };
  return plan;
}

}  // namespace

std::vector<Route> llama_factory_routes() {
  return {{"/v1/score/evaluation", [](const nlohmann::json&) { return ErrorStyle::kDetail; },
           plan_evaluation}};
}

}  // namespace plumb::service
