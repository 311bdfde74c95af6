#include "service/routes.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "service/dialects/kserve.hpp"
#include "service/dialects/shared_paths.hpp"

namespace plumb::service {
namespace {

constexpr std::array<std::string_view, 4> kPublic{"/health", "/ready", "/live", "/ping"};
constexpr std::array<std::string_view, 8> kInformation{
    "/health", "/ready", "/live", "/ping", "/metrics", "/info", "/v1/models", "/tokenizer_info"};

OrderedJson model_row(const std::string& id, const std::string& root, std::int64_t created,
                      std::int64_t max_length) {
  return {{"id", id},
          {"object", "model"},
          {"created", created},
          {"owned_by", "plumb"},
          {"root", root},
          {"parent", nullptr},
          {"max_model_len", max_length > 0 ? OrderedJson(max_length) : OrderedJson(nullptr)},
          {"permission", OrderedJson::array()}};
}

}  // namespace

const std::vector<Route>& post_routes() {
  static const std::vector<Route> routes = [] {
    std::vector<Route> all;
    for (const auto& family : {native_routes(), openrlhf_routes(), vllm_routes(), tei_routes(),
                               llama_factory_routes(), completion_routes(), shared_routes()})
      all.insert(all.end(), family.begin(), family.end());
    return all;
  }();
  return routes;
}

bool is_information_route(const std::string& path) {
  if (is_kserve_information(path)) return true;
  return std::ranges::find(kInformation, path) != kInformation.end();
}

bool is_public_route(const std::string& path) {
  return path.starts_with("/v2/health/") || std::ranges::find(kPublic, path) != kPublic.end();
}

std::string metric_route(const std::string& path) {
  if (!path.starts_with("/v2/models/")) return path;
  return is_kserve_infer(path) ? "/v2/models/*/infer" : "/v2/models/*";
}

Reply models_reply(const ServedModels& models, const ServeOptions& options, std::int64_t created) {
  OrderedJson data = OrderedJson::array();
  if (!models.modules.empty())
    data.push_back(
        model_row(options.model_name, models.modules.front().name, created, options.max_length));
  for (const ServedModule& module : models.modules) {
    const RewardInfo info = module.module->info();
    OrderedJson row = model_row(module.name, module.name, created, options.max_length);
    row["reward"] = {{"unit", info.unit},
                     {"source", info.source},
                     {"summary", info.summary},
                     {"fingerprint", module.fingerprint},
                     {"scores", "raw; sigmoid only where a request asks for activation"}};
    data.push_back(std::move(row));
  }
  if (models.policy)
    data.push_back(model_row(models.policy->name(), models.policy->name(), created,
                             models.policy->max_length()));
  return json_reply({{"object", "list"}, {"data", std::move(data)}});
}

Reply info_reply(const ServedModels& models, const ServeOptions& options,
                 const std::string& version) {
  OrderedJson modules = OrderedJson::array();
  for (const ServedModule& module : models.modules)
    modules.push_back({{"name", module.name},
                       {"unit", module.module->info().unit},
                       {"fingerprint", module.fingerprint}});
  const OrderedJson max_length =
      options.max_length > 0 ? OrderedJson(options.max_length) : OrderedJson(nullptr);
  return json_reply(
      {{"model_id", options.model_name},
       {"model_sha", models.modules.empty() ? "" : models.modules.front().fingerprint},
       {"model_dtype", options.dtype},
       {"model_type", {{"reward", {{"modules", std::move(modules)}}}}},
       {"policy", models.policy ? OrderedJson(models.policy->name()) : OrderedJson(nullptr)},
       {"token_counts", models.tokenizer ? "exact" : "estimated"},
       {"max_concurrent_requests", options.max_queue_requests},
       {"max_queue_tokens", options.max_queue_tokens},
       {"max_input_length", max_length},
       {"max_batch_tokens", options.max_batch_tokens},
       {"max_client_batch_size", options.max_items},
       {"auto_truncate", options.truncation == "prompt"},
       {"version", version}});
}

Reply tokenizer_info_reply(const ServedModels& models) {
  if (!models.tokenizer)
    return error_reply(ErrorStyle::kOpenAi, 404,
                       "the service has no tokenizer; set serve.tokenizer or serve.policy");
  const Tokenizer& tokenizer = *models.tokenizer;
  const auto piece = [&](std::optional<std::int32_t> id) {
    return id ? OrderedJson(tokenizer.piece(*id)) : OrderedJson(nullptr);
  };
  return json_reply({{"tokenizer_class", "plumb"},
                     {"vocab_size", tokenizer.vocab_size()},
                     {"bos_token", piece(tokenizer.bos())},
                     {"eos_token", piece(tokenizer.eos())},
                     {"pad_token", piece(tokenizer.eos())},
                     {"chat_template", nullptr}});
}

}  // namespace plumb::service
