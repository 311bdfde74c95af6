#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

/// The whole contract between the trainer and the losses: flat per-token tensors in, sums out.
/// Notation of the formulas: S = sum of policy log-probs of a response, R = the same under the
/// reference, n = its tokens, w/l = chosen/rejected, a = S_w - R_w, b = S_l - R_l, z = beta (a -
/// b). All log-probs are natural.
namespace plumb {

/// One side (chosen or rejected) of B pairs; the tokens of all responses lie end to end.
struct ResponseSide {
  std::vector<std::int64_t> offsets;  // [B+1] tokens of pair i are offsets[i] .. offsets[i+1]-1
  at::Tensor logps;                   // [N] float, nats, carries gradient
  at::Tensor ref_logps;  // [N] float, no gradient                         Needs::reference
  at::Tensor kl;  // [N] KL(ref || policy) over the vocabulary, nats, carries gradient   Needs::kl
  at::Tensor square_logsum;  // [N] log sum_v p_v^2, no gradient               Needs::square_logsum
  at::Tensor token_rewards;  // [N] token rewards, no gradient                 Needs::token_rewards
  at::Tensor span_mask;      // [N] bool, token lies in a key span             Needs::spans
  at::Tensor reward;         // [B] stored sequence reward                     Needs::rewards
};

/// Token counts of a pair that a term's divisor may count.
struct PairSize {
  std::int64_t prompt = 0, chosen = 0, baseline = 0;
};

/// What a loss may read. Parts that its needs() does not ask for may be undefined.
struct PreferenceBatch {
  ResponseSide chosen, rejected;
  ResponseSide baseline;  // gold answers: logps alone; no tokens where a pair has none
                          // Needs::baseline
  at::Tensor label;  // [B] in [0, 1]: how sure it is that chosen beats rejected; undefined = all 1
  at::Tensor prompt_nll;  // [B] summed NLL of the prompt's tokens (ORPO), carries gradient
                          // Needs::prompt_nll
  std::vector<std::int64_t> prompt_lengths;  // [B]
  at::Tensor history;  // [B, 3] float64, LossOutput::history of the pair's last visit, zeros before
                       // Needs::history
  double progress = 0.0;  // share of the training's optimizer steps that are done
  std::int64_t pairs() const { return static_cast<std::int64_t>(chosen.offsets.size()) - 1; }
  PairSize size(std::int64_t pair) const;
};

/// Inputs beyond policy log-probs; the trainer computes only what a loss asks for.
struct Needs {
  bool reference = false;  // reference log-probs per token
  bool kl = false;         // full-vocabulary KL to a live reference, both sides
  bool square_logsum = false;
  bool token_rewards = false;
  bool spans = false;
  bool rewards = false;
  bool prompt_nll = false;
  bool baseline = false;    // gold answers of the prompts
  bool history = false;     // what the loss wrote about the pair at its last visit
  bool whole_step = false;  // couples the pairs of an optimizer step: must see all of them at once
};

/// What one unit of a term's divisor is. The trainer divides every term once by its total over the
/// optimizer step.
enum class Per { kPair, kChosenToken, kResponse, kSequenceToken, kBaselineToken };
struct TermInfo {
  std::string name;
  double weight = 1.0;
  Per per = Per::kPair;
};

/// What a pair adds to a term's divisor: 1; tokens of the chosen response; 2; predicted tokens of
/// prompt and chosen response (all but the prompt's first); tokens of the gold answer.
std::int64_t units(Per per, const PairSize& pair);
/// The same of all pairs of a batch.
std::int64_t units(Per per, const PreferenceBatch& batch);

/// A metric as sum and count, so that micro-batches add up exactly. Names follow TRL.
struct Metric {
  std::string name;
  double sum = 0.0;
  double count = 0.0;
};

struct LossOutput {
  std::vector<at::Tensor>
      sums;  // [] each, in the order of terms(), without their weights, carries gradient
  at::Tensor pair_loss;  // [B] detached, all terms weighted, token terms as the pair's own token
                         // mean: the ledger's loss
  at::Tensor margin;     // [B] detached implicit reward margin, beta (a - b) or the loss's own
  std::vector<Metric> metrics;
  at::Tensor history;  // [B, 3] float64 to be kept with the pairs: running means of how likely each
                       // label is right and wrong, and the visits; undefined unless Needs::history
};

class PreferenceLoss {
 public:
  virtual ~PreferenceLoss() = default;
  virtual Needs needs() const = 0;
  virtual std::vector<TermInfo> terms() const { return {{"loss", 1.0, Per::kPair}}; }
  virtual LossOutput operator()(const PreferenceBatch& batch) const = 0;
};

}  // namespace plumb
