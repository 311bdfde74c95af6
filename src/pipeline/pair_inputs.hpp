#pragma once
#include <vector>

#include "pipeline/run_context.hpp"
#include "store/pairs.hpp"
#include "train/micro_batch.hpp"

/// What a loss reads of a pair beside token ids and labels: key spans, token rewards, stored
/// rewards, reference log-probs. The annotate phase computes and stores it, the train phase reads
/// it back.
namespace plumb {

/// Finds the key spans of pairs that have none in the store (options of section `spans`) and stores
/// them; spans that are there, such as imported ones, stay.
/// @param pairs  as load_pairs gives them for `rows`
void annotate_spans(RunContext& context, const std::vector<store::PairRow>& rows,
                    const std::vector<TrainingPair>& pairs);

/// Scores the pairs' responses that lack token values by the module loss.token_rewards. A pair of
/// which a response gets none is dropped with its reason. Throws UsageError if the module gives no
/// token values at all.
void annotate_token_rewards(RunContext& context, const store::Iteration& iteration,
                            const std::vector<store::PairRow>& rows);

/// Fills in what `needs` asks for from the store. Throws UsageError for what is not there.
/// @param iteration  whose reference the log-probs are under
void add_loss_inputs(RunContext& context, const Needs& needs, const store::Iteration& iteration,
                     const std::vector<store::PairRow>& rows, std::vector<TrainingPair>& pairs);

}  // namespace plumb
