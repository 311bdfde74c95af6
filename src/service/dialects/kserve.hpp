#pragma once
#include <optional>
#include <string>

#include "service/dialect.hpp"

namespace plumb::service {

/// What NeMo-Aligner calls its model; the first module answers to it.
inline constexpr const char* kRewardModel = "reward_model";

bool is_kserve_infer(const std::string& path);
/// NAME of /v2/models/NAME..., or "".
std::string kserve_model(const std::string& path);
bool serves_kserve_model(const ServedModels& models, const ServeOptions& options,
                         const std::string& name);
/// Length of the JSON head of the body: all of it, or what Inference-Header-Content-Length says.
/// Throws Problem.
std::size_t kserve_json_size(const HttpRequest& request);
/// Whether it is /v2, /v2/health/live, /v2/health/ready or
/// /v2/models/NAME[/versions/1][/ready|/config].
bool is_kserve_information(const std::string& path);
/// The reply to GET of such a path; nothing for another.
/// @param models  nullptr while they are loaded
std::optional<Reply> kserve_information(const std::string& path, const ServedModels* models,
                                        const ServeOptions& options, const std::string& version);

}  // namespace plumb::service
