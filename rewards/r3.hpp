#pragma once
#include <memory>
#include <string>
#include <vector>

#include "rewards/r3_formula.hpp"
#include "rewards/relevance.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

/// R^3, Regularized Relevance Reward (arXiv 2402.03469; formula in r3_formula.hpp). Dimensionless,
/// higher is better.
///
/// Components: relevance (as measured), F (constrained branch), li, rp, words, trigrams,
/// unique_trigrams, copy_rate (4-grams shared with the prompt, informational). Labels: branch,
/// kind, kind_source (given, rule, default), query (prompt, reference), empty. `raw` is the value
/// before negative relevance is clamped.
class R3Reward final : public RewardModule {
 public:
  using Options = R3Options;
  static RewardInfo about();
  /// Throws UsageError (options) or DataError (encoder folder).
  static std::unique_ptr<R3Reward> make(const Options& options, RewardContext& context);

  R3Reward(Options options, std::shared_ptr<const RelevanceBackend> backend,
           std::int64_t max_new_tokens);
  RewardInfo info() const override { return about(); }
  std::string content_hash() const override { return backend_->content_hash(); }
  std::vector<Score> score(std::span<const RewardSample> samples) const override;
  const R3Options& options() const { return options_; }
  const R3Formula& formula() const { return formula_; }

 private:
  struct Item;
  Item prepare(const RewardSample& sample) const;
  R3Branch branch_of(const RewardSample& sample, Score& score) const;
  void finish(const Item& item, double relevance, Score& score) const;

  Options options_;
  std::shared_ptr<const RelevanceBackend> backend_;
  R3Formula formula_;
  std::vector<std::string> stops_;
};

/// The relevance backend that the options name. Throws DataError if the encoder cannot be loaded.
std::shared_ptr<const RelevanceBackend> make_relevance_backend(const R3Options& options,
                                                               RewardContext& context);

}  // namespace plumb
