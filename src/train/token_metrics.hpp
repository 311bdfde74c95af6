#pragma once
#include <cstdint>
#include <vector>

#include "losses/loss.hpp"
#include "model/decoder.hpp"

namespace plumb {

/// What the policy's distributions are like at the tokens of the responses, in TRL's names:
///
///   entropy                        nats, chosen and rejected responses
///   logits/chosen, logits/rejected mean logit over vocabulary and tokens
///   mean_token_accuracy            share of the chosen tokens that are the most likely one
///
/// @param stats    with entropy, mean_logit and is_top
/// @param offsets  rows of each response: `pairs` chosen ones, then as many rejected ones
std::vector<Metric> token_metrics(const TokenStats& stats, const std::vector<std::int64_t>& offsets,
                                  std::int64_t pairs);

}  // namespace plumb
