#include "rollout/engine.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "rollout/cached_model.hpp"
#include "rollout/generation.hpp"

namespace plumb {
namespace {

std::int64_t longest_response(const RolloutRequest& request, const SamplingOptions& sampling,
                              const std::string& name) {
  if (request.limits.empty()) return sampling.max_new_tokens;
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

RolloutStats RolloutEngine::generate(std::span<const RolloutRequest> requests,
                                     const SamplingOptions& sampling,
                                     std::span<const std::int32_t> end_ids, std::uint64_t seed,
                                     std::uint64_t iteration,
                                     const std::function<void(RolloutResponse&&)>& done,
                                     const std::function<bool(const RolloutResponse&)>& token) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::string name = cat("request ", i);
    model_->check(requests[i], longest_response(requests[i], sampling, name), name);
  }
  const GenerationPlan plan{requests,  sampling,          end_ids, seed,
                            iteration, options_.max_rows, done,    token};
  return Generation(*model_, tokenizer_, plan).run();
}

}  // namespace plumb
