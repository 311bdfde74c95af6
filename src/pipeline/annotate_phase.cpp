#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/log.hpp"
#include "losses/registry.hpp"
#include "pipeline/degraded_rollout.hpp"
#include "pipeline/pair_data.hpp"
#include "pipeline/pair_inputs.hpp"
#include "pipeline/phases.hpp"
#include "store/samples.hpp"

namespace plumb {
namespace {

/// How far the sampler's recorded log-probs lie from the trainer's forward pass, over tokens.
struct SamplerGap {
  double sum = 0.0, largest = 0.0;
  std::int64_t tokens = 0;
  /// Responses to another prompt than the one they are trained on have nothing to compare.
  void add(const store::SampleRow& sample, const std::vector<float>& trainer) {
    if (sample.suite == kDegraded) return;
    const std::vector<float>& sampler = sample.logp_policy;
    for (std::size_t i = 0; i < std::min(sampler.size(), trainer.size()); ++i) {
      const double gap =
          std::abs(static_cast<double>(sampler[i]) - static_cast<double>(trainer[i]));
      sum += gap;
      largest = std::max(largest, gap);
      ++tokens;
    }
  }
};

}  // namespace

void run_annotate_phase(RunContext& context, const store::Iteration& iteration) {
  expects(iteration.reference_checkpoint_id.has_value(), "an iteration with a reference");
  const std::int64_t reference = *iteration.reference_checkpoint_id;
  const Needs needs = make_loss(context.config.loss, context.config.values)->needs();
  PairSelection selection = select_pairs(context, iteration);
  if (needs.token_rewards) {
    annotate_token_rewards(context, iteration, selection.pairs);
    selection = select_pairs(context, iteration);
  }
  if (needs.spans) annotate_spans(context, selection.pairs, load_pairs(context, selection.pairs));
  if (context.config.imports_pairs() && !needs.reference) {
    log::info("reference log-probs: not needed by this loss");
    return;
  }
  const bool sampled_by_reference =
      iteration.policy_checkpoint_id == iteration.reference_checkpoint_id;
  SamplerGap gap;
  store_pair_logps(context, selection.pairs, reference, "reference log-probs",
                   [&](const store::PairRow& row, const std::vector<float>& chosen,
                       const std::vector<float>& rejected) {
                     if (!sampled_by_reference) return;
                     gap.add(*store::find_sample(context.db, row.chosen_id), chosen);
                     gap.add(*store::find_sample(context.db, row.rejected_id), rejected);
                   });
  if (gap.tokens > 0) {
    const std::string message =
        cat("sampler and trainer log-probs differ by ", gap.sum / static_cast<double>(gap.tokens),
            " nats a token on average, at most ", gap.largest, ", over ", gap.tokens, " tokens");
    log::info(message);
    store::add_event(context.db, context.run.id, iteration.id, "info", "sampler_gap", message);
  }
}

}  // namespace plumb
