#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"
#include "service/body_fields.hpp"
#include "service/dialects/shared_paths.hpp"
#include "service/items.hpp"

/// vLLM's pooling routes (also Jina's and Cohere's rerank, OpenAI's embeddings). Values are raw
/// unless the request asks for the activation, which vLLM has had under three names.
namespace plumb::service {
namespace {

bool wants_activation(const nlohmann::json& body) {
  for (const char* name : {"use_activation", "activation", "normalize"}) {
    if (find_field(body, name) != nullptr) return bool_field(body, name, false);
  }
  return false;
}

/// Modules and truncation, the fields that all these routes share.
ScorePlan common_plan(const Call& call) {
  ScorePlan plan;
  plan.modules = modules_of_model(call);
  const std::int64_t tokens =
      integer_field(call.body, "truncate_prompt_tokens", 0, -1, 1'000'000'000);
  if (tokens != 0) plan.truncate = true;
  if (tokens > 0) plan.max_length = tokens;
  return plan;
}

/// What a render function keeps of its request.
struct Frame {
  std::string id, model;
  std::int64_t created;
  bool activation;

  Frame(const Call& call, const char* prefix)
      : id(prefix + call.request.id),
        model(reply_model(call)),
        created(call.created),
        activation(wants_activation(call.body)) {}
  double value(const ScoreJob& job, std::size_t item) const {
    const double raw = value_of(job, item);
    return activation ? sigmoid(raw) : raw;
  }
  Reply list(OrderedJson data, const ScoreJob& job) const {
    return json_reply({{"id", id},
                       {"object", "list"},
                       {"created", created},
                       {"model", model},
                       {"data", std::move(data)},
                       {"usage", usage_of(job)}});
  }
};

std::vector<ScoreItem> input_items(const Call& call) {
  if (const nlohmann::json* messages = find_field(call.body, "messages"))
    return {item_from_messages(messages_of(*messages, "messages"))};
  return items_from_input(call, need_field(call.body, "input"), "input");
}

}  // namespace

ScorePlan vllm_classify(const Call& call) {
  ScorePlan plan = common_plan(call);
  plan.items = input_items(call);
  plan.render = [frame = Frame(call, "classify-")](const ScoreJob& job) {
    OrderedJson data = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i)
      data.push_back(
          {{"index", i}, {"label", nullptr}, {"probs", {frame.value(job, i)}}, {"num_classes", 1}});
    return frame.list(std::move(data), job);
  };
  return plan;
}

namespace {

/// A row of one number for each token.
OrderedJson token_rows(const Score& score) {
  OrderedJson rows = OrderedJson::array();
  for (const float value : score.per_token) rows.push_back({value});
  return rows;
}

ScorePlan plan_pooling(const Call& call) {
  ScorePlan plan = common_plan(call);
  plan.items = input_items(call);
  const std::string task = text_field(call.body, "task");
  const bool by_token = task == "token_classify" || task == "token_embed" || task == "encode";
  if (!task.empty() && !by_token && task != "classify" && task != "embed" && task != "score")
    throw Problem(400, cat("\"task\" = ", task, ": unknown"), "task");
  plan.render = [frame = Frame(call, "pool-"), by_token,
                 format =
                     call.body.value("encoding_format", nlohmann::json())](const ScoreJob& job) {
    const nlohmann::json body{{"encoding_format", format}};
    OrderedJson data = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i) {
      const double value = frame.value(job, i);
      const Score& score = *job.at(i, 0).score;
      if (by_token && score.per_token.empty())
        throw Problem(400, cat("reward module ", job.modules[0]->name, " gives no token rewards"),
                      "task");
      data.push_back({{"index", i},
                      {"object", "pooling"},
                      {"data", by_token ? token_rows(score) : encoded_numbers(body, {value})}});
    }
    return frame.list(std::move(data), job);
  };
  return plan;
}

ScorePlan plan_embeddings(const Call& call) {
  ScorePlan plan = common_plan(call);
  plan.items = input_items(call);
  plan.render = [frame = Frame(call, "embd-"),
                 format =
                     call.body.value("encoding_format", nlohmann::json())](const ScoreJob& job) {
    const nlohmann::json body{{"encoding_format", format}};
    OrderedJson data = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i)
      data.push_back({{"index", i},
                      {"object", "embedding"},
                      {"embedding", encoded_numbers(body, {frame.value(job, i)})}});
    return frame.list(std::move(data), job);
  };
  return plan;
}

std::vector<std::string> side_of_pairs(const Call& call, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const nlohmann::json* value = find_field(call.body, name))
      return one_or_more_texts(*value, name);
  }
  const char* first = *names.begin();
  throw Problem(400, cat("\"", first, "\" is missing"), first);
}

}  // namespace

ScorePlan vllm_score(const Call& call) {
  ScorePlan plan = common_plan(call);
  const std::vector<std::string> left =
      side_of_pairs(call, {"text_1", "data_1", "queries", "query"});
  const std::vector<std::string> right =
      side_of_pairs(call, {"text_2", "data_2", "documents", "items"});
  if (left.size() != 1 && left.size() != right.size())
    throw Problem(400, cat(left.size(), " texts on the left and ", right.size(),
                           " on the right, expected 1:1, 1:N or N:N"));
  for (std::size_t i = 0; i < right.size(); ++i)
    plan.items.push_back(item_from_pair(left[left.size() == 1 ? 0 : i], right[i]));
  plan.render = [frame = Frame(call, "score-")](const ScoreJob& job) {
    OrderedJson data = OrderedJson::array();
    for (std::size_t i = 0; i < job.items.size(); ++i)
      data.push_back({{"index", i}, {"object", "score"}, {"score", frame.value(job, i)}});
    return frame.list(std::move(data), job);
  };
  return plan;
}

namespace {

std::vector<std::string> documents_of(const nlohmann::json& list) {
  if (!list.is_array()) throw Problem(400, "\"documents\": expected a list", "documents");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string place = cat("documents[", i, "]");
    texts.push_back(list[i].is_object() ? text_of(need_field(list[i], "text"), place)
                                        : text_of(list[i], place));
  }
  return texts;
}

}  // namespace

ScorePlan vllm_rerank(const Call& call) {
  ScorePlan plan = common_plan(call);
  const std::string query = text_of(need_field(call.body, "query"), "query");
  const std::vector<std::string> documents = documents_of(need_field(call.body, "documents"));
  const std::int64_t top = integer_field(call.body, "top_n", 0, 0, 1'000'000'000);
  const bool with_text = bool_field(call.body, "return_documents", true);
  for (const std::string& document : documents)
    plan.items.push_back(item_from_pair(query, document));
  plan.render = [frame = Frame(call, "rerank-"), top, with_text](const ScoreJob& job) {
    std::vector<double> values;
    for (std::size_t i = 0; i < job.items.size(); ++i) values.push_back(frame.value(job, i));
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, [&](auto a, auto b) { return values[a] > values[b]; });
    if (top > 0 && static_cast<std::size_t>(top) < order.size())
      order.resize(static_cast<std::size_t>(top));
    OrderedJson results = OrderedJson::array();
    for (const std::size_t i : order) {
      OrderedJson row{{"index", i}};
      if (with_text) row["document"] = {{"text", job.items[i].sample.response}};
      row["relevance_score"] = values[i];
      results.push_back(std::move(row));
    }
    const std::int64_t tokens = prompt_tokens(job);
    return json_reply({{"id", frame.id},
                       {"model", frame.model},
                       {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}},
                       {"results", std::move(results)},
                       {"meta",
                        {{"api_version", {{"version", "2"}, {"is_experimental", false}}},
                         {"billed_units", {{"search_units", 1}}}}}});
  };
  return plan;
}

Reply vllm_tokenize(const Call& call) {
  const Tokenizer& tokenizer = need_tokenizer(call, "prompt");
  const bool specials = bool_field(call.body, "add_special_tokens", true);
  std::vector<std::int32_t> ids;
  if (const nlohmann::json* messages = find_field(call.body, "messages")) {
    if (!call.models.policy)
      throw Problem(400, "\"messages\": no policy is loaded whose chat format could be used",
                    "messages");
    ids = call.models.policy->chat().encode(tokenizer, messages_of(*messages, "messages"),
                                            bool_field(call.body, "add_generation_prompt", true));
  } else {
    const std::string text = text_of(need_field(call.body, "prompt"), "prompt");
    ids = tokenizer.encode_template(text, {});
    if (specials && tokenizer.adds_bos() && tokenizer.bos())
      ids.insert(ids.begin(), *tokenizer.bos());
  }
  OrderedJson out{
      {"count", ids.size()},
      {"max_model_len",
       call.options.max_length > 0 ? OrderedJson(call.options.max_length) : OrderedJson(nullptr)},
      {"tokens", ids}};
  if (bool_field(call.body, "return_token_strs", false)) {
    OrderedJson& pieces = out["token_strs"] = OrderedJson::array();
    for (const std::int32_t id : ids) pieces.push_back(tokenizer.piece(id));
  }
  return json_reply(out);
}

namespace {

Reply detokenize(const Call& call) {
  const Tokenizer& tokenizer = need_tokenizer(call, "tokens");
  const auto ids = ids_of(need_field(call.body, "tokens"), "tokens", tokenizer.vocab_size());
  return json_reply({{"prompt", tokenizer.decode(ids)}});
}

}  // namespace

std::vector<Route> vllm_routes() {
  return {{"/pooling", openai_errors, plan_pooling},
          {"/v1/classify", openai_errors, vllm_classify},
          {"/v1/embeddings", openai_errors, plan_embeddings},
          {"/score", openai_errors, vllm_score},
          {"/v1/rerank", openai_errors, vllm_rerank},
          {"/v2/rerank", openai_errors, vllm_rerank},
          {"/detokenize", openai_errors, nullptr, detokenize}};
}

}  // namespace plumb::service
