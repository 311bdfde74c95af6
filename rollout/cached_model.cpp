#include "rollout/cached_model.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace plumb {

CachedModel::CachedModel(const Decoder& model) : model_(model), decoder_(model) {}

std::int64_t CachedModel::vocab_size() const { return model_.config().vocab_size; }

void CachedModel::check(const RolloutRequest& request, std::int64_t max_new_tokens,
                        const std::string& name) const {
  check_prompt(model_.config(), request.prompt_ids, max_new_tokens, name);
}

std::vector<TokenModel::PrefixId> CachedModel::prefill(
    std::span<const RolloutRequest* const> requests, NextLogits& logits) {
  std::vector<std::vector<std::int32_t>> prompts;
  for (const RolloutRequest* request : requests) prompts.push_back(request->prompt_ids);
  at::Tensor rows;
  std::vector<PrefixId> prefixes = decoder_.prefill(prompts, rows);
  rows = rows.cpu();
  logits = {rows, rows};
  return prefixes;
}

NextLogits CachedModel::step(std::span<const RowId> rows, std::span<const std::int32_t> tokens) {
  const at::Tensor logits = decoder_.step(rows, tokens).cpu();
  return {logits, logits};
}

void check_prompt(const ModelConfig& config, std::span<const std::int32_t> prompt,
                  std::int64_t max_new_tokens, const std::string& name) {
  if (prompt.empty())
    throw DataError(cat(name, ": the prompt has no token; expected at least one"));
  const auto bad = std::find_if(prompt.begin(), prompt.end(),
                                [&](std::int32_t id) { return id < 0 || id >= config.vocab_size; });
  if (bad != prompt.end()) {
    throw DataError(cat(name, ": token id ", *bad, " at position ", bad - prompt.begin(),
                        "; the model's vocabulary has ids 0 to ", config.vocab_size - 1,
                        ". Does the tokenizer belong to the model?"));
  }
  std::int64_t context = config.max_position_embeddings;
  if (config.sliding_window) context = std::min(context, *config.sliding_window);
  const auto length = static_cast<std::int64_t>(prompt.size());
  if (length + max_new_tokens > context) {
    throw DataError(cat(name, ": ", length, " prompt tokens and up to ", max_new_tokens,
                        " new ones exceed the model's context of ", context,
                        " tokens; shorten the prompt or lower max_new_tokens"));
  }
}

}  // namespace plumb
