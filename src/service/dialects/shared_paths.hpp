#pragma once
#include "service/dialect.hpp"

/// What stands behind paths that two families of clients use; the fields of a request decide.
namespace plumb::service {

std::vector<Route> shared_routes();

ScorePlan vllm_classify(const Call& call);
ScorePlan vllm_score(const Call& call);
ScorePlan vllm_rerank(const Call& call);
Reply vllm_tokenize(const Call& call);
ScorePlan sglang_classify(const Call& call);
ScorePlan sglang_score(const Call& call);
ScorePlan tei_rerank(const Call& call);
Reply tei_tokenize(const Call& call);

}  // namespace plumb::service
