#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/options.hpp"
#include "rewards/kind_vote.hpp"
#include "rewards/query_kind.hpp"
#include "rewards/reward.hpp"

namespace plumb {

class RewardContext;

/// Where the type of a query comes from. The option names belong to the section of the module that
/// asks.
struct QueryKindOptions {
  std::vector<std::string> source{"column", "rule"};
  int short_words = 30;
  std::string model;
  KindVoteOptions vote;
  std::int64_t seed = 42;

  static void describe(auto& self, auto&& field) {
    field("qtype_source", self.source,
          Choices{{"column", "lm", "rule", "open", "constrained", "random"}},
          "query type, the first source that knows it: the prompt's own, a language model's vote, "
          "the length of the reference, a fixed type, or a draw");
    field("short_reference_words", self.short_words, Range{0, 1e6},
          "source rule: references with fewer words mean constrained");
    field("qtype_model", self.model, "language model of source lm");
    KindVoteOptions::describe(self.vote, field);
    field("qtype_seed", self.seed, Range{0, 9e15}, "seed of source random");
  }
};

struct KindDecision {
  std::optional<QueryKind> kind;
  std::string source;              // given (column), lm, rule, fixed, random
  std::optional<double> log_odds;  // of the vote, where one was taken: constrained over open
  std::string error;               // why there is no kind
};

/// Asks the sources in their order. A source that cannot tell (no kind in the data, a query that
/// the model cannot read) passes the question on.
class QueryKinds {
 public:
  /// Throws UsageError: source lm without qtype_model, no source. `section` is for the error text.
  static QueryKinds make(const QueryKindOptions& options, const std::string& section,
                         RewardContext& context);
  QueryKinds(QueryKindOptions options, std::shared_ptr<const KindVote> vote);

  /// One decision a sample, in order. Equal queries are put to the model once.
  std::vector<KindDecision> decide(std::span<const RewardSample> samples) const;
  /// Hash of the voting model, or "".
  std::string content_hash() const;

 private:
  KindDecision decide(const RewardSample& sample, std::optional<double> log_odds) const;

  QueryKindOptions options_;
  std::shared_ptr<const KindVote> vote_;
};

}  // namespace plumb
