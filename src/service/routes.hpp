#pragma once
#include <string>

#include "service/dialect.hpp"

namespace plumb::service {

inline constexpr const char* kReloadRoute = "/v1/reload";

/// GET routes that tell about the service.
bool is_information_route(const std::string& path);
/// Routes that need no access key.
bool is_public_route(const std::string& path);

/// The path as metrics and log name it: without names that a client chose.
std::string metric_route(const std::string& path);

/// GET /v1/models
Reply models_reply(const ServedModels& models, const ServeOptions& options, std::int64_t created);
/// GET /info
Reply info_reply(const ServedModels& models, const ServeOptions& options,
                 const std::string& version);
/// GET /tokenizer_info, as vLLM has it: the special tokens, by which lm-eval knows that it can use
/// /tokenize in place of a tokenizer of its own. There is no Jinja template to give.
Reply tokenizer_info_reply(const ServedModels& models);

}  // namespace plumb::service
