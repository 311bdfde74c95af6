#pragma once
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct BcoOptions {
  double beta = 0.1;
  static void describe(auto& self, auto&& field) {
    field("beta", self.beta, Range{1e-6, 1e3}, "pull towards the reference policy (1/nats)");
  }
};

/// Binary cross-entropy of rewards around a baseline: softplus(delta - r) for chosen ones.
at::Tensor bco_chosen(const at::Tensor& reward, const at::Tensor& delta);
/// softplus(r - delta) for rejected ones.
at::Tensor bco_rejected(const at::Tensor& reward, const at::Tensor& delta);

/// Binary Classifier Optimization (arXiv:2404.04656), each response a term of its own. The baseline
/// delta is the mean reward of all responses of the optimizer step, without gradient; the official
/// code keeps a mean over the whole run instead.
class BcoLoss final : public PairwiseLoss {
 public:
  using Options = BcoOptions;
  static constexpr std::string_view kName = "bco", kPaper = "2404.04656",
                                    kSummary = "each response classified against the mean reward";

  explicit BcoLoss(Options options) : options_(options) {}
  Needs needs() const override { return {.reference = true, .whole_step = true}; }
  std::vector<TermInfo> terms() const override { return {{"bco", 1.0, Per::kResponse}}; }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;

 private:
  Options options_;
};

}  // namespace plumb
