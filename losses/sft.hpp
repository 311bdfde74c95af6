#pragma once
#include <string_view>
#include <vector>

#include "core/options.hpp"
#include "losses/pairwise.hpp"

namespace plumb {

struct SftOptions {
  static void describe(auto&, auto&&) {}
};

/// Imitation of chosen responses: NLL per chosen token of the optimizer step. The margin is S_w -
/// S_l, for the record.
class SftLoss final : public PairwiseLoss {
 public:
  using Options = SftOptions;
  static constexpr std::string_view kName = "sft", kPaper = "",
                                    kSummary = "imitation of chosen responses";

  explicit SftLoss(Options) {}
  Needs needs() const override { return {}; }
  std::vector<TermInfo> terms() const override { return {{"sft", 1.0, Per::kChosenToken}}; }
  PairTerms pair_terms(const PreferenceBatch& batch) const override;
};

}  // namespace plumb
