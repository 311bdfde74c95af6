#pragma once
#include <memory>
#include <vector>

#include "rollout/cached_model.hpp"
#include "text/tokenizer.hpp"

namespace plumb {

/// A reward model that steers decoding, and how strongly.
struct Guide {
  const Decoder* model;
  double alpha;  // weight of its logits: 1 / beta of the KL-regularised objective
};

/// logits = base + sum_i alpha_i * guide_i, all cut to the base's vocabulary; divided by 1 + sum_i
/// alpha_i if `normalize`. Logits and log-probs give the same distribution: they differ by a
/// constant a row. Throws UsageError if a guide has a smaller vocabulary, or normalize meets
/// weights with 1 + sum <= 0.
/// @param base [R, V] float32 @param guides [R, >= V] float32 each @return [R, V]
at::Tensor combine_logits(const at::Tensor& base, std::span<const at::Tensor> guides,
                          std::span<const double> alphas, bool normalize);

/// Throws UsageError naming the first id whose text differs. Guides must share the ids of the base;
/// more ids at the end are allowed.
void check_same_vocabulary(const Tokenizer& base, const Tokenizer& guide,
                           const std::string& guide_name);

/// Reward-guided decoding (GenARM, Xu et al., arXiv:2410.08193): tokens are drawn from the base
/// model steered by autoregressive reward models that run in step with it, each behind its own
/// prompt (RolloutRequest::guide_prompts). A response's logp_policy is under the base alone,
/// logp_sampling under the guided distribution.
class GuidedModel : public TokenModel {
 public:
  /// @param base, guides  the models must outlive this object
  GuidedModel(const Decoder& base, std::vector<Guide> guides, bool normalize = false);

  std::int64_t vocab_size() const override { return configs_.front()->vocab_size; }
  void check(const RolloutRequest& request, std::int64_t max_new_tokens,
             const std::string& name) const override;
  std::vector<PrefixId> prefill(std::span<const RolloutRequest* const> requests,
                                NextLogits& logits) override;
  RowId open_row(PrefixId prefix) override;
  void close_row(RowId row) override;
  void release(PrefixId prefix) override;
  NextLogits step(std::span<const RowId> rows, std::span<const std::int32_t> tokens) override;

 private:
  /// Handles of the models for one handle of this object.
  class Handles {
   public:
    std::int32_t add(std::vector<std::int32_t> of_models);
    const std::vector<std::int32_t>& at(std::int32_t handle) const;
    void remove(std::int32_t handle);

   private:
    std::vector<std::vector<std::int32_t>> table_;
    std::vector<std::int32_t> free_;
  };
  static const std::vector<std::int32_t>& prompt_of(const RolloutRequest& request,
                                                    std::size_t model);
  NextLogits combined(std::span<const at::Tensor> logits) const;

  std::vector<std::unique_ptr<CachedDecoder>> models_;  // the base, then the guides
  std::vector<const ModelConfig*> configs_;             // of the same
  std::vector<double> alphas_;
  bool normalize_;
  Handles prefixes_, rows_;
};

}  // namespace plumb
