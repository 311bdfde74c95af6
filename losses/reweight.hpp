#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct ReweightOptions {
  std::string strategy = "linupper";
  double r = 0.4;
  static void describe(auto& self, auto&& field) {
    field("strategy", self.strategy, Choices{{"uniform", "linupper", "quadratic", "extremes"}},
          "which pairs count more");
    field("r", self.r, Range{1e-3, 1e9}, "temperature of the weights; large: uniform");
  }
};

/// Weights of losses within a batch. With h = (2 l - (max + min)) / (max - min) in [-1, 1]:
///
///   linupper min(h + 1, 1)     quadratic 1 - h^2     extremes |h|     uniform 0
///   w = softmax(f / r)
///
/// @param losses [B] no gradient @return [B], sums to 1
at::Tensor dynamic_weights(const at::Tensor& losses, const std::string& strategy, double r);

/// Dynamic loss-based reweighting (arXiv:2502.06733): pairs are weighted by where their loss lies
/// within the optimizer step, without gradient. Terms counted per token are left alone. `linupper`
/// also raises mislabelled pairs; for self-made labels `quadratic` is the safer choice.
class ReweightModifier final : public PairwiseLoss {
 public:
  using Options = ReweightOptions;
  static constexpr std::string_view kName = "reweight", kPaper = "2502.06733",
                                    kSummary = "weights pairs by their loss within the step";

  /// Throws UsageError if the base loss has no term per pair.
  ReweightModifier(std::unique_ptr<PairwiseLoss> base, Options options);
  Needs needs() const override;
  std::vector<TermInfo> terms() const override { return base_->terms(); }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  std::unique_ptr<PairwiseLoss> base_;
  Options options_;
};

}  // namespace plumb
