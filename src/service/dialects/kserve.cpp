#include "service/dialects/kserve.hpp"

#include <algorithm>
#include <cstring>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "service/body_fields.hpp"
#include "service/items.hpp"

/// The KServe v2 protocol as NeMo-Aligner's clients speak it: input `sentences` (BYTES), or
/// `tokens` with `sequence_lengths` (INT64), output `rewards` (FP32); tensors as JSON or in the
/// binary extension after the JSON head.
namespace plumb::service {
namespace {

constexpr std::string_view kModels = "/v2/models/";
constexpr std::string_view kVersion = "/versions/1";  // of every model

/// /v2/models/MODEL[/versions/1][WHAT]; WHAT begins with a slash.
struct ModelPath {
  std::string model, what;
};

ModelPath split(const std::string& path) {
  if (!path.starts_with(kModels)) return {};
  const std::size_t end = std::min(path.find('/', kModels.size()), path.size());
  std::string what = path.substr(end);
  if (what == kVersion || what.starts_with(std::string(kVersion) + "/"))
    what.erase(0, kVersion.size());
  return {path.substr(kModels.size(), end - kModels.size()), std::move(what)};
}

/// One input, from JSON `data` or from its place in the binary tail.
struct Input {
  const nlohmann::json* json = nullptr;
  std::string_view bytes;
};

/// Finds an input by name; the binary parts lie in the order of the inputs.
std::optional<Input> find_input(const Call& call, const std::string& name,
                                const std::string& datatype) {
  const nlohmann::json& inputs = need_field(call.body, "inputs");
  if (!inputs.is_array()) throw Problem(400, "\"inputs\": expected a list", "inputs");
  std::string_view tail =
      std::string_view(call.request.body).substr(kserve_json_size(call.request));
  for (const nlohmann::json& input : inputs) {
    if (!input.is_object()) throw Problem(400, "\"inputs\": expected objects", "inputs");
    const nlohmann::json* parameters = find_field(input, "parameters");
    std::int64_t size = 0;
    if (parameters != nullptr && parameters->is_object())
      size = integer_field(*parameters, "binary_data_size", 0, 0,
                           static_cast<std::int64_t>(tail.size()));
    const std::string_view bytes = tail.substr(0, static_cast<std::size_t>(size));
    tail.remove_prefix(bytes.size());
    if (text_field(input, "name") != name) continue;
    if (const std::string type = text_field(input, "datatype"); type != datatype)
      throw Problem(400, cat("input ", name, " has datatype ", type, ", expected ", datatype),
                    name);
    if (const nlohmann::json* data = find_field(input, "data")) return Input{data, {}};
    return Input{nullptr, bytes};
  }
  return std::nullopt;
}

std::int64_t little_endian(std::string_view bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t k = 0; k < width; ++k)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[at + k])) << (8 * k);
  return static_cast<std::int64_t>(value);
}

/// All leaves of nested lists.
void flatten(const nlohmann::json& value, std::vector<const nlohmann::json*>& out) {
  if (!value.is_array()) {
    out.push_back(&value);
    return;
  }
  for (const nlohmann::json& part : value) flatten(part, out);
}

std::vector<std::string> read_texts(const Input& input) {
  std::vector<std::string> texts;
  if (input.json != nullptr) {
    std::vector<const nlohmann::json*> leaves;
    flatten(*input.json, leaves);
    for (const nlohmann::json* leaf : leaves) texts.push_back(text_of(*leaf, "sentences"));
    return texts;
  }
  for (std::size_t at = 0; at < input.bytes.size();) {
    if (input.bytes.size() - at < 4) throw Problem(400, "sentences: a cut length", "sentences");
    const auto size = static_cast<std::size_t>(little_endian(input.bytes, at, 4));
    at += 4;
    if (input.bytes.size() - at < size)
      throw Problem(400, "sentences: a text reaches beyond the body", "sentences");
    const std::string_view text = input.bytes.substr(at, size);
    if (!is_valid_utf8(text)) throw Problem(400, "sentences: not UTF-8", "sentences");
    texts.emplace_back(text);
    at += size;
  }
  return texts;
}

std::vector<std::int64_t> read_integers(const Input& input, const std::string& name) {
  std::vector<std::int64_t> values;
  if (input.json != nullptr) {
    std::vector<const nlohmann::json*> leaves;
    flatten(*input.json, leaves);
    for (const nlohmann::json* leaf : leaves) {
      if (!leaf->is_number_integer()) throw Problem(400, cat(name, ": expected integers"), name);
      values.push_back(leaf->get<std::int64_t>());
    }
    return values;
  }
  if (input.bytes.size() % 8 != 0) throw Problem(400, cat(name, ": cut INT64 data"), name);
  for (std::size_t at = 0; at < input.bytes.size(); at += 8)
    values.push_back(little_endian(input.bytes, at, 8));
  return values;
}

/// Rows of token ids: `tokens` is [N, longest], `sequence_lengths` [N].
std::vector<ScoreItem> read_tokens(const Call& call) {
  const auto tokens = find_input(call, "tokens", "INT64");
  const auto lengths = find_input(call, "sequence_lengths", "INT64");
  if (!tokens || !lengths)
    throw Problem(400, "expected the input sentences, or tokens with sequence_lengths", "inputs");
  const std::vector<std::int64_t> ids = read_integers(*tokens, "tokens");
  const std::vector<std::int64_t> sizes = read_integers(*lengths, "sequence_lengths");
  if (sizes.empty() ? !ids.empty() : ids.size() % sizes.size() != 0)
    throw Problem(400, "tokens and sequence_lengths do not fit each other", "tokens");
  std::vector<ScoreItem> items;
  for (std::size_t row = 0; row < sizes.size(); ++row) {
    const std::size_t width = ids.size() / sizes.size();
    if (sizes[row] < 0 || static_cast<std::size_t>(sizes[row]) > width)
      throw Problem(400, cat("sequence_lengths: ", sizes[row], " of ", width, " tokens"),
                    "sequence_lengths");
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(row * width);
    const nlohmann::json sequence(std::vector<std::int64_t>(begin, begin + sizes[row]));
    items.push_back(item_from_ids(call, sequence, "tokens"));
  }
  return items;
}

bool wants_binary(const nlohmann::json& body) {
  if (const nlohmann::json* parameters = find_field(body, "parameters");
      parameters != nullptr && parameters->is_object() &&
      bool_field(*parameters, "binary_data_output", false))
    return true;
  const nlohmann::json* outputs = find_field(body, "outputs");
  if (outputs == nullptr || !outputs->is_array()) return false;
  for (const nlohmann::json& output : *outputs) {
    if (!output.is_object()) throw Problem(400, "\"outputs\": expected objects", "outputs");
    const nlohmann::json* parameters = find_field(output, "parameters");
    if (parameters != nullptr && parameters->is_object() &&
        bool_field(*parameters, "binary_data", false))
      return true;
  }
  return false;
}

ScorePlan plan_infer(const Call& call) {
  ScorePlan plan;
  const std::string model = kserve_model(call.request.path);
  if (!serves_kserve_model(call.models, call.options, model))
    throw Problem(404, cat("Request for unknown model: '", model, "' is not found"));
  if (call.models.find(model) != nullptr) plan.modules = {model};
  if (const auto sentences = find_input(call, "sentences", "BYTES")) {
    for (const std::string& text : read_texts(*sentences))
      plan.items.push_back(item_from_text(text));
  } else {
    plan.items = read_tokens(call);
  }
  const std::string id = text_field(call.body, "id");
  plan.render = [model, id, binary = wants_binary(call.body)](const ScoreJob& job) {
    std::vector<float> rewards;
    for (std::size_t i = 0; i < job.items.size(); ++i)
      rewards.push_back(static_cast<float>(value_of(job, i)));
    OrderedJson output{{"name", "rewards"}, {"datatype", "FP32"}, {"shape", {rewards.size(), 1}}};
    const std::size_t bytes = rewards.size() * sizeof(float);
    if (binary) {
      output["parameters"] = {{"binary_data_size", bytes}};
    } else {
      output["data"] = rewards;
    }
    OrderedJson body{{"model_name", model}, {"model_version", "1"}};
    if (!id.empty()) body["id"] = id;
    body["outputs"] = OrderedJson::array({output});
    Reply reply = json_reply(body);
    if (binary) {
      reply.headers.emplace_back("Inference-Header-Content-Length",
                                 std::to_string(reply.body.size()));
      reply.content_type = "application/octet-stream";
      reply.body.append(reinterpret_cast<const char*>(rewards.data()), bytes);
    }
    return reply;
  };
  return plan;
}

OrderedJson tensor(const char* name, const char* type, std::int64_t size) {
  return {{"name", name}, {"datatype", type}, {"shape", {-1, size}}};
}

OrderedJson config_tensor(const char* name, const char* type, std::int64_t size) {
  return {{"name", name}, {"data_type", type}, {"dims", {size}}, {"optional", true}};
}

}  // namespace

std::size_t kserve_json_size(const HttpRequest& request) {
  const std::string_view header = request.header("inference-header-content-length");
  if (header.empty()) return request.body.size();
  std::size_t size = 0;
  for (const char c : header) {
    if (c < '0' || c > '9' || size > request.body.size())
      throw Problem(400, "Inference-Header-Content-Length is no length inside of the body");
    size = size * 10 + static_cast<std::size_t>(c - '0');
  }
  if (size > request.body.size())
    throw Problem(400, "Inference-Header-Content-Length exceeds the body");
  return size;
}

bool is_kserve_infer(const std::string& path) { return split(path).what == "/infer"; }

bool is_kserve_information(const std::string& path) {
  if (path == "/v2" || path == "/v2/health/live" || path == "/v2/health/ready") return true;
  const auto [model, what] = split(path);
  return !model.empty() && (what.empty() || what == "/ready" || what == "/config");
}

std::string kserve_model(const std::string& path) { return split(path).model; }

bool serves_kserve_model(const ServedModels& models, const ServeOptions& options,
                         const std::string& name) {
  return name == options.model_name || name == kRewardModel || models.find(name) != nullptr;
}

std::optional<Reply> kserve_information(const std::string& path, const ServedModels* models,
                                        const ServeOptions& options, const std::string& version) {
  const auto status = [](bool good) {
    Reply reply;
    reply.status = good ? 200 : 503;
    return reply;
  };
  if (path == "/v2")
    return json_reply({{"name", "plumb"},
                       {"version", version},
                       {"extensions", {"binary_tensor_data", "model_configuration"}}});
  if (path == "/v2/health/live") return status(true);
  if (path == "/v2/health/ready") return status(models != nullptr);
  const auto [model, what] = split(path);
  if (model.empty()) return std::nullopt;
  if (models == nullptr) return status(false);
  if (!serves_kserve_model(*models, options, model))
    return error_reply(ErrorStyle::kKserve, 404,
                       cat("Request for unknown model: '", model, "' is not found"));
  if (what == "/ready") return status(true);
  if (what == "/config")
    return json_reply(
        {{"name", model},
         {"platform", ""},
         {"backend", "plumb"},
         {"max_batch_size", options.max_items},
         {"input",
          {config_tensor("sentences", "TYPE_STRING", 1), config_tensor("tokens", "TYPE_INT64", -1),
           config_tensor("sequence_lengths", "TYPE_INT64", 1)}},
         {"output", {{{"name", "rewards"}, {"data_type", "TYPE_FP32"}, {"dims", {1}}}}}});
  return json_reply({{"name", model},
                     {"versions", {"1"}},
                     {"platform", "plumb"},
                     {"inputs",
                      {tensor("sentences", "BYTES", 1), tensor("tokens", "INT64", -1),
                       tensor("sequence_lengths", "INT64", 1)}},
                     {"outputs", {tensor("rewards", "FP32", 1)}}});
}

Route kserve_route() {
  return {"/v2/models/*/infer", [](const nlohmann::json&) { return ErrorStyle::kKserve; },
          plan_infer};
}

}  // namespace plumb::service
