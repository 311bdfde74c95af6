#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "service/body_fields.hpp"
#include "service/dialects/shared_paths.hpp"
#include "service/items.hpp"
#include "service/policy_scores.hpp"

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

namespace {

/// Query and items as texts, or both as token ids of the policy.
std::vector<ScoreItem> read_label_items(const Call& call) {
  const nlohmann::json& query = need_field(call.body, "query");
  const nlohmann::json& items = need_field(call.body, "items");
  std::vector<ScoreItem> out;
  if (query.is_string()) {
    for (std::string& item : one_or_more_texts(items, "items"))
      out.push_back(item_from_pair(query.get<std::string>(), std::move(item)));
    return out;
  }
  const Tokenizer& tokenizer = call.models.policy->tokenizer();
  const std::vector<std::int32_t> query_ids = ids_of(query, "query", tokenizer.vocab_size());
  if (!items.is_array())
    throw Problem(400, "\"items\": expected lists of token ids, as the query is one", "items");
  for (std::size_t i = 0; i < items.size(); ++i) {
    std::vector<std::int32_t> ids = ids_of(items[i], cat("items[", i, "]"), tokenizer.vocab_size());
    ScoreItem& item =
        out.emplace_back(item_from_pair(tokenizer.decode(query_ids), tokenizer.decode(ids)));
    item.sample.prompt_ids = query_ids;
    item.sample.response_ids = std::move(ids);
  }
  return out;
}

/// What SGLang makes of the labels' log-probs: probabilities in the whole vocabulary, or among the
/// labels alone.
std::vector<double> label_scores(const std::vector<float>& logprobs, bool softmax) {
  const double most = softmax ? *std::ranges::max_element(logprobs) : 0;
  std::vector<double> scores;
  double sum = 0;
  for (const float logprob : logprobs) {
    scores.push_back(std::exp(static_cast<double>(logprob) - most));
    sum += scores.back();
  }
  for (double& score : scores) score /= softmax ? sum : 1;
  return scores;
}

Reply scoring_reply(const ScoreJob& job, OrderedJson rows, const std::string& model) {
  return json_reply({{"scores", std::move(rows)},
                     {"model", model},
                     {"usage", usage_of(job)},
                     {"object", "scoring"}});
}

ScorePlan plan_labels(const Call& call, const nlohmann::json& given) {
  if (!call.models.policy)
    throw Problem(400,
                  "\"label_token_ids\": the probabilities are those of a policy, and none is "
                  "loaded: set serve.policy, or leave the field out for the rewards of the items",
                  "label_token_ids");
  const TextModel& policy = *call.models.policy;
  std::vector<std::int32_t> labels =
      ids_of(given, "label_token_ids", policy.tokenizer().vocab_size());
  if (labels.empty() || static_cast<std::int64_t>(labels.size()) > call.options.max_items)
    throw Problem(400,
                  cat("\"label_token_ids\": ", labels.size(), " tokens, expected 1 to ",
                      call.options.max_items),
                  "label_token_ids");
  const auto module = std::make_shared<LabelLogprobs>(call.models.policy, std::move(labels),
                                                      bool_field(call.body, "item_first", false));
  ScorePlan plan;
  plan.needs_module = false;
  plan.more = {std::make_shared<const ServedModule>(
      ServedModule{"labels", module, module->fingerprint(), false})};
  plan.items = read_label_items(call);
  plan.truncate = false;
  plan.render = [softmax = bool_field(call.body, "apply_softmax", false),
                 model = policy_model(call)](const ScoreJob& job) {
    OrderedJson rows = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i) {
      value_of(job, i);
      rows.push_back(label_scores(job.at(i, 0).score->per_token, softmax));
    }
    return scoring_reply(job, std::move(rows), model);
  };
  return plan;
}

}  // namespace

ScorePlan sglang_score(const Call& call) {
  if (const nlohmann::json* labels = find_field(call.body, "label_token_ids"))
    return plan_labels(call, *labels);
  ScorePlan plan;
  plan.modules = modules_of_model(call);
  const std::string query = text_of(need_field(call.body, "query"), "query");
  for (const std::string& item : one_or_more_texts(need_field(call.body, "items"), "items"))
    plan.items.push_back(item_from_pair(query, item));
  for (const char* name : {"apply_softmax", "item_first"}) {
    if (bool_field(call.body, name, false))
      throw Problem(400,
                    cat("\"", name,
                        "\" has no meaning for rewards; leave it out, or ask for "
                        "label_token_ids"),
                    name);
  }
  plan.render = [model = reply_model(call)](const ScoreJob& job) {
    OrderedJson rows = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i) rows.push_back({value_of(job, i)});
    return scoring_reply(job, std::move(rows), model);
  };
  return plan;
}

}  // namespace plumb::service
