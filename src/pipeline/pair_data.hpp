#pragma once
#include <functional>
#include <string>
#include <vector>

#include "pipeline/run_context.hpp"
#include "store/pairs.hpp"
#include "train/micro_batch.hpp"

namespace plumb {

/// The active pairs of the iteration's pair set (pair.set), and those that exceed train.max_length,
/// which are dropped and counted.
struct PairSelection {
  std::vector<store::PairRow> pairs;
  std::int64_t too_long = 0;
};
/// Throws UsageError if the pair set does not exist.
PairSelection select_pairs(const RunContext& context, const store::Iteration& iteration);

/// Prompt and response ids of pairs, without reference log-probs.
std::vector<TrainingPair> load_pairs(const RunContext& context,
                                     const std::vector<store::PairRow>& rows);

/// Log-probs of the pairs' responses under a model, as the trainer computes them, without gradient.
struct PairLogps {
  std::vector<std::vector<float>> chosen, rejected;  // one value a token, nats
};
PairLogps pair_logps(const Decoder& model, std::span<const TrainingPair* const> pairs,
                     std::int64_t token_budget);

/// Stores log-probs of the pairs' responses under a checkpoint where they are missing, a few pairs
/// at a time.
/// @param title  of the progress line   @param computed  sees each pair whose log-probs were
/// computed
void store_pair_logps(
    RunContext& context, const std::vector<store::PairRow>& rows, std::int64_t checkpoint_id,
    const std::string& title,
    const std::function<void(const store::PairRow&, const std::vector<float>& chosen,
                             const std::vector<float>& rejected)>& computed);

}  // namespace plumb
