#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "losses/loss.hpp"
#include "model/decoder.hpp"
#include "tensor/ragged.hpp"

namespace plumb {

/// A pair as the trainer takes it: token ids and whatever the loss needs beside them. Vectors per
/// token have one value a response token.
struct TrainingPair {
  struct Side {
    std::vector<std::int32_t> ids;  // response; none where a loss reads no such side
    std::vector<float> ref_logps;   // nats
    std::vector<float> token_rewards;
    std::vector<std::pair<std::int64_t, std::int64_t>> spans;  // half-open token ranges
    double reward = 0.0;
  };
  std::int64_t id = 0;
  std::vector<std::int32_t> prompt;  // at least one token
  Side chosen, rejected;
  std::vector<std::int32_t> baseline;  // gold answer; empty: none
  double label = 1.0;

  /// Tokens of one forward pass over prompt and responses.
  std::int64_t tokens() const {
    return static_cast<std::int64_t>(prompt.size() + chosen.ids.size() + rejected.ids.size() +
                                     baseline.size());
  }
  PairSize size() const {
    return {static_cast<std::int64_t>(prompt.size()), static_cast<std::int64_t>(chosen.ids.size()),
            static_cast<std::int64_t>(baseline.size())};
  }
};

/// A few pairs as one ragged forward pass: each prompt once, chosen and rejected continuing it.
struct MicroBatch {
  std::span<const TrainingPair* const> pairs;
  RaggedBatch batch;
  // all chosen responses, then all rejected ones, then (if asked) the gold answers, the prompts
  TokenRows rows;
};

/// Cuts pairs, in their order, into groups of at most `token_budget` tokens (at least one pair
/// each).
std::vector<std::span<const TrainingPair* const>> cut_by_tokens(
    std::span<const TrainingPair* const> pairs, std::int64_t token_budget);

MicroBatch make_micro_batch(std::span<const TrainingPair* const> pairs, const Needs& needs,
                            at::Device device);

/// Policy-side quantities of a micro-batch, and what the loss asked for of the pairs' stored
/// values.
/// @param stats  of the policy for `micro.rows`
PreferenceBatch make_preference_batch(const MicroBatch& micro, const TokenStats& stats,
                                      const Needs& needs);

/// What to ask of Decoder::token_stats for a loss; `reference` (with its hidden rows) only if the
/// loss needs the KL.
TokenStatsRequest make_stats_request(const MicroBatch& micro, const Needs& needs,
                                     const Decoder* reference);

}  // namespace plumb
