#include "rollout/engine.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "rollout/cached_model.hpp"
#include "rollout/generation.hpp"

namespace plumb {
namespace {

std::int64_t longest_response(const RolloutRequest& request, const SamplingOptions& sampling,
                              const std::string& name) {
  if (request.limits.empty())
    return request.sampling ? request.sampling->max_new_tokens : sampling.max_new_tokens;
  if (static_cast<std::int64_t>(request.limits.size()) != request.samples ||
      std::ranges::min(request.limits) < 1) {
    throw UsageError(cat(name, ": ", request.limits.size(), " token limits for ", request.samples,
                         " samples; expected one above 0 for each sample"));
  }
  return std::ranges::max(request.limits);
}

}  // namespace

RolloutEngine::RolloutEngine(const Decoder& model, const Tokenizer& tokenizer, Options options)
    : RolloutEngine(std::make_unique<CachedModel>(model), tokenizer, options) {}

RolloutEngine::RolloutEngine(std::unique_ptr<TokenModel> model, const Tokenizer& tokenizer,
                             Options options)
    : model_(std::move(model)), tokenizer_(tokenizer), options_(options) {
  expects(options_.max_rows > 0, "at least one row");
}

RolloutEngine::~RolloutEngine() = default;

void RolloutEngine::check(const RolloutRequest& request, const SamplingOptions& sampling,
                          std::size_t number) const {
  const std::string name = cat("request ", number);
  model_->check(request, longest_response(request, sampling, name), name);
}

RolloutStats RolloutEngine::generate(std::span<const RolloutRequest> requests,
                                     const SamplingOptions& sampling,
                                     std::span<const std::int32_t> end_ids, std::uint64_t seed,
                                     std::uint64_t iteration,
                                     const std::function<void(RolloutResponse&&)>& done,
                                     const std::function<bool(const RolloutResponse&)>& token) {
  for (std::size_t i = 0; i < requests.size(); ++i) check(requests[i], sampling, i);
  std::size_t given = 0;
  const RequestSource next = [&] { return given < requests.size() ? &requests[given++] : nullptr; };
  const GenerationPlan plan{next,      sampling,          end_ids, seed,
                            iteration, options_.max_rows, done,    token};
  return Generation(*model_, tokenizer_, plan).run();
}

RolloutStats RolloutEngine::generate(const RequestSource& next, const SamplingOptions& sampling,
                                     std::span<const std::int32_t> end_ids, std::uint64_t seed,
                                     std::uint64_t iteration,
                                     const std::function<void(RolloutResponse&&)>& done,
                                     const std::function<bool(const RolloutResponse&)>& token) {
  std::size_t given = 0;
  const RequestSource checked = [&] {
    const RolloutRequest* request = next();
    if (request != nullptr) check(*request, sampling, given++);
    return request;
  };
  const GenerationPlan plan{checked,   sampling,          end_ids, seed,
                            iteration, options_.max_rows, done,    token};
  return Generation(*model_, tokenizer_, plan).run();
}

}  // namespace plumb
