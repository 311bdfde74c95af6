#include <algorithm>
#include <numeric>

#include "core/error.hpp"
#include "service/body_fields.hpp"
#include "service/dialects/shared_paths.hpp"
#include "service/items.hpp"

/// Text-embeddings-inference. A missing `raw_scores` means raw here, as everywhere in this service;
/// false asks for the sigmoid.
namespace plumb::service {
namespace {

constexpr const char* kLabel = "LABEL_0";  // of a model with one output

/// TEI's validation errors are 422; 400 is left for an empty batch.
template <class Plan>
auto validated(const Plan& plan) {
  try {
    return plan();
  } catch (const Problem& problem) {
    if (problem.status() != 400) throw;
    throw Problem(422, problem.what(), problem.field());
  }
}

struct Options {
  bool sigmoid;
  std::optional<bool> truncate;
};

Options options_of(const nlohmann::json& body) {
  Options options{!bool_field(body, "raw_scores", true), std::nullopt};
  if (find_field(body, "truncate") != nullptr)
    options.truncate = bool_field(body, "truncate", false);
  return options;
}

double shown(const Options& options, double value) {
  return options.sigmoid ? sigmoid(value) : value;
}

ScoreItem pair_or_text(const nlohmann::json& input, const std::string& name) {
  if (input.is_string()) return item_from_text(input.get<std::string>());
  const std::vector<std::string> texts = texts_of(input, name);
  if (texts.size() == 1) return item_from_text(texts[0]);
  if (texts.size() != 2)
    throw Problem(422, cat("\"", name, "\": ", texts.size(), " texts, expected one or a pair"),
                  name);
  return item_from_pair(texts[0], texts[1]);
}

ScorePlan plan_predict(const Call& call) {
  const nlohmann::json& inputs = need_field(call.body, "inputs");
  if (inputs.is_array() && inputs.empty()) throw Problem(400, "`inputs` cannot be empty");
  return validated([&] {
    ScorePlan plan;
    const Options options = options_of(call.body);
    plan.truncate = options.truncate;
    const bool batch = inputs.is_array() && inputs[0].is_array();
    if (!batch) {
      plan.items.push_back(pair_or_text(inputs, "inputs"));
    } else {
      for (std::size_t i = 0; i < inputs.size(); ++i)
        plan.items.push_back(pair_or_text(inputs[i], cat("inputs[", i, "]")));
    }
    plan.render = [options, batch](const ScoreJob& job) {
      OrderedJson rows = OrderedJson::array();
      for (std::size_t i = 0; i < job.items.size(); ++i) {
        OrderedJson row = OrderedJson::array();
        row.push_back({{"score", shown(options, value_of(job, i))}, {"label", kLabel}});
        rows.push_back(std::move(row));
      }
      return json_reply(batch ? rows : rows[0]);
    };
    return plan;
  });
}

}  // namespace

ScorePlan tei_rerank(const Call& call) {
  const nlohmann::json& texts = need_field(call.body, "texts");
  if (texts.is_array() && texts.empty()) throw Problem(400, "`texts` cannot be empty");
  return validated([&] {
    ScorePlan plan;
    const Options options = options_of(call.body);
    plan.truncate = options.truncate;
    const bool with_text = bool_field(call.body, "return_text", false);
    const std::string query = text_of(need_field(call.body, "query"), "query");
    for (const std::string& text : texts_of(texts, "texts"))
      plan.items.push_back(item_from_pair(query, text));
    plan.render = [options, with_text](const ScoreJob& job) {
      std::vector<double> values;
      for (std::size_t i = 0; i < job.items.size(); ++i) values.push_back(value_of(job, i));
      std::vector<std::size_t> order(values.size());
      std::iota(order.begin(), order.end(), 0);
      std::ranges::stable_sort(order, [&](auto a, auto b) { return values[a] > values[b]; });
      OrderedJson rows = OrderedJson::array();
      for (const std::size_t i : order) {
        OrderedJson row{{"index", i}, {"score", shown(options, values[i])}};
        if (with_text) row["text"] = job.items[i].sample.response;
        rows.push_back(std::move(row));
      }
      return json_reply(rows);
    };
    return plan;
  });
}

Reply tei_tokenize(const Call& call) {
  return validated([&] {
    const Tokenizer& tokenizer = need_tokenizer(call, "inputs");
    const bool specials = bool_field(call.body, "add_special_tokens", true);
    OrderedJson rows = OrderedJson::array();
    for (const std::string& text : one_or_more_texts(need_field(call.body, "inputs"), "inputs")) {
      OrderedJson row = OrderedJson::array();
      if (specials && tokenizer.adds_bos() && tokenizer.bos())
        row.push_back({{"id", *tokenizer.bos()},
                       {"text", tokenizer.piece(*tokenizer.bos())},
                       {"special", true},
                       {"start", nullptr},
                       {"stop", nullptr}});
      std::size_t begin = 0;
      for (const std::int32_t id : tokenizer.encode(text)) {
        const std::string piece = tokenizer.decode(std::span(&id, 1));
        const std::size_t end = std::min(text.size(), begin + piece.size());
        row.push_back({{"id", id},
                       {"text", piece},
                       {"special", tokenizer.is_special(id)},
                       {"start", begin},
                       {"stop", end}});
        begin = end;
      }
      rows.push_back(std::move(row));
    }
    return json_reply(rows);
  });
}

std::vector<Route> tei_routes() {
  return {{"/predict", [](const nlohmann::json&) { return ErrorStyle::kTei; }, plan_predict}};
}

}  // namespace plumb::service
