#include "service/dialects/shared_paths.hpp"

namespace plumb::service {
namespace {

bool is_sglang_classify(const nlohmann::json& body) {
  return body.contains("text") || body.contains("input_ids");
}
/// SGLang scores `items` after one `query`; vLLM's pairs have other names.
bool is_sglang_score(const nlohmann::json& body) {
  return body.contains("query") && body.contains("items");
}
bool is_tei_rerank(const nlohmann::json& body) { return body.contains("texts"); }
bool is_tei_tokenize(const nlohmann::json& body) { return body.contains("inputs"); }

}  // namespace

std::vector<Route> shared_routes() {
  return {
      {"/classify",
       [](const nlohmann::json& body) {
         return is_sglang_classify(body) ? ErrorStyle::kFlat : ErrorStyle::kOpenAi;
       },
       [](const Call& call) {
         return is_sglang_classify(call.body) ? sglang_classify(call) : vllm_classify(call);
       },
       nullptr, nullptr, true},
      {"/v1/score",
       [](const nlohmann::json& body) {
         return is_sglang_score(body) ? ErrorStyle::kFlat : ErrorStyle::kOpenAi;
       },
       [](const Call& call) {
         return is_sglang_score(call.body) ? sglang_score(call) : vllm_score(call);
       }},
      {"/rerank",
       [](const nlohmann::json& body) {
         return is_tei_rerank(body) ? ErrorStyle::kTei : ErrorStyle::kOpenAi;
       },
       [](const Call& call) {
         return is_tei_rerank(call.body) ? tei_rerank(call) : vllm_rerank(call);
       }},
      {"/tokenize",
       [](const nlohmann::json& body) {
         return is_tei_tokenize(body) ? ErrorStyle::kTei : ErrorStyle::kOpenAi;
       },
       nullptr,
       [](const Call& call) {
         return is_tei_tokenize(call.body) ? tei_tokenize(call) : vllm_tokenize(call);
       }},
  };
}

}  // namespace plumb::service
