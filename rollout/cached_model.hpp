#pragma once
#include "model/cached_decoder.hpp"
#include "rollout/token_model.hpp"

namespace plumb {

/// The policy alone.
class CachedModel : public TokenModel {
 public:
  /// @param model  must outlive this object
  explicit CachedModel(const Decoder& model);

  std::int64_t vocab_size() const override;
  void check(const RolloutRequest& request, std::int64_t max_new_tokens,
             const std::string& name) const override;
  std::vector<PrefixId> prefill(std::span<const RolloutRequest* const> requests,
                                NextLogits& logits) override;
  RowId open_row(PrefixId prefix) override { return decoder_.open_row(prefix); }
  void close_row(RowId row) override { decoder_.close_row(row); }
  void release(PrefixId prefix) override { decoder_.release(prefix); }
  NextLogits step(std::span<const RowId> rows, std::span<const std::int32_t> tokens) override;

 private:
  const Decoder& model_;
  CachedDecoder decoder_;
};

/// Throws DataError naming the request if the prompt is empty, holds an id outside of the
/// vocabulary, or does not leave room for `max_new_tokens` in the model's context.
void check_prompt(const ModelConfig& config, std::span<const std::int32_t> prompt,
                  std::int64_t max_new_tokens, const std::string& name);

}  // namespace plumb
