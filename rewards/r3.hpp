#pragma once
#include <memory>
#include <string>
#include <vector>

#include "rewards/query_kind_source.hpp"
#include "rewards/r3_formula.hpp"
#include "rewards/relevance.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

/// R^3, Regularized Relevance Reward (arXiv 2402.03469; formula in r3_formula.hpp). Dimensionless,
/// higher is better.
///
/// Components, whichever of them count: relevance (as measured), F (constrained branch), li, rp,
/// words, trigrams, unique_trigrams, copy_rate (4-grams shared with the prompt, informational),
/// kind_vote (log-odds of a language model's vote), windows (if more than one). Labels: branch,
/// kind, kind_source (given, lm, rule, fixed, random), query (prompt, reference), empty. `raw` is
/// the value before negative relevance is clamped.
class R3Reward final : public RewardModule {
 public:
  using Options = R3Options;
  static RewardInfo about();
  /// Throws UsageError (options) or DataError (encoder folder).
  static std::unique_ptr<R3Reward> make(const Options& options, RewardContext& context);

  R3Reward(Options options, std::shared_ptr<const RelevanceBackend> backend,
           std::int64_t max_new_tokens);
  R3Reward(Options options, std::shared_ptr<const RelevanceBackend> backend, QueryKinds kinds,
           std::int64_t max_new_tokens);
  RewardInfo info() const override { return about(); }
  /// Hashes of the backend's model and of the voting model, where there are such.
  std::string content_hash() const override;
  std::vector<Score> score(std::span<const RewardSample> samples) const override;
  const R3Options& options() const { return options_; }
  const std::shared_ptr<const RelevanceBackend>& backend() const { return backend_; }
  const R3Formula& formula() const { return formula_; }

 private:
  struct Item;
  Item prepare(const RewardSample& sample, const KindDecision& decision) const;
  R3Branch branch_of(const RewardSample& sample, const KindDecision& decision, Score& score) const;
  void measure_words(std::string_view counted, const std::string& prompt, Item& item) const;
  void finish(const Item& item, double relevance, Score& score) const;

  Options options_;
  std::shared_ptr<const RelevanceBackend> backend_;
  QueryKinds kinds_;
  bool clamp_negative_;
  R3Formula formula_;
  std::vector<std::string> stops_;
};

/// The relevance backend that the options name. Throws DataError if the encoder cannot be loaded.
std::shared_ptr<const RelevanceBackend> make_relevance_backend(const R3Options& options,
                                                               RewardContext& context);

}  // namespace plumb
