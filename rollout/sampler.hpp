#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "rollout/request.hpp"

namespace plumb {

/// What one draw depends on.
struct DrawInput {
  const float* logits;  // [V] scores to draw from, before penalty, temperature and filters
  const float*
      policy_logits;  // [V] scores of the policy itself; the same row unless decoding is guided
  std::span<const std::int32_t> prompt,
      response;    // seen tokens, for the repetition penalty and min_new_tokens
  double uniform;  // in [0, 1): the only source of chance
  const SamplingOptions* options = nullptr;  // of this row; nullptr: the sampler's
  std::int64_t top = 0;                      // likeliest tokens wanted
};

struct Draw {
  std::int32_t token;
  float logp_policy;    // nats, under softmax(policy_logits): no penalty, no temperature, no filter
  float logp_sampling;  // nats, under the distribution the token was drawn from; 0 if greedy
  std::vector<LikelyToken> top{};  // under softmax(policy_logits), lower ids first among equals
};

/// Turns rows of logits into tokens. Order of the steps as in transformers: repetition penalty,
/// min_new_tokens, temperature, top-k, top-p, min-p. Temperature 0 takes the largest score, the
/// lowest id on ties. Where the border of a top-k or top-p set runs through equal scores, lower ids
/// are kept. The draw is the inverse of the cumulative distribution in id order.
class Sampler {
 public:
  /// @param options  of rows that name none
  /// @param end_ids  tokens that min_new_tokens forbids; ids outside of the vocabulary are ignored
  Sampler(const SamplingOptions& options, std::span<const std::int32_t> end_ids,
          std::int64_t vocab_size);

  /// One draw a row, rows in parallel. @param drawn [rows]; empty where the logits hold a NaN or an
  /// infinity
  void draw(std::span<const DrawInput> rows, std::span<std::optional<Draw>> drawn);

 private:
  struct Scratch {
    std::vector<float> scores, mass;
    std::vector<std::int32_t> candidates;
    std::vector<double> block_sums;
  };
  std::optional<Draw> draw_row(const DrawInput& row, Scratch& scratch) const;
  const float* adjusted_scores(const DrawInput& row, const SamplingOptions& options,
                               Scratch& scratch) const;
  double filter(double total, const SamplingOptions& options, Scratch& scratch) const;

  SamplingOptions options_;
  std::vector<std::int32_t> end_ids_;
  std::int64_t vocab_size_;
  std::vector<Scratch> scratch_;  // one a thread
};

}  // namespace plumb
