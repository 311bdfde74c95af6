#pragma once
#include "pipeline/run_context.hpp"

namespace plumb {

/// Evaluates a policy on the imported pairs that were held out, if there are any. Suite
/// `heldout-pairs`, S = summed log-prob of a response under the policy, w/l = chosen/rejected:
///
///   eval_logps/accuracy        share of pairs with S_w > S_l: what GenARM's reward
///   (arXiv:2410.08193)
///                              prefers; a tie counts 1/2
///   eval_logps/accuracy_token  the same of S / tokens
///   eval_logps/accuracy_change the same of S minus the initial policy's S (DPO's implicit reward)
///   eval_logps/margin, chosen_change, rejected_change, chosen_longer   nats; the last is the share
///                              of pairs whose chosen side has more tokens
///   eval_logps/span_margin     nats that the chosen side gained over the rejected one against the
///                              start, inside of the key spans (RRPO's; pairs without any are left
///                              out)
///   eval_logps/span_accuracy   share of pairs for which it is above 0
///
/// Log-probs are stored by (sample, checkpoint), so that every pair can be looked at.
void evaluate_pairs(RunContext& context, const store::Iteration& iteration,
                    std::int64_t checkpoint_id);

}  // namespace plumb
