#pragma once
#include <ATen/core/Tensor.h>

/// Reductions over the vocabulary that see the logits block by block, so that a row of logits never
/// has to exist as a whole. Vectorised on the CPU, at:: operations elsewhere; C rows, B columns of
/// a block.
namespace plumb::kernels {

/// What is known of C rows after the blocks seen so far; all [C] float64.
struct LogitStatistics {
  at::Tensor highest;   // largest logit h
  at::Tensor total;     // sum exp(z - h)
  at::Tensor target;    // logit of the row's target, once its block was seen
  at::Tensor weighted;  // sum exp(z - h) (z - h); undefined: no entropy
  at::Tensor squares;   // sum exp(2 (z - h)); undefined: no square_logsum
  at::Tensor cross;     // sum exp(z - h) (z - p) against other logits p; undefined: no divergence
  at::Tensor sum;       // sum z; undefined: no mean_logit

  at::Tensor logsumexp() const;                     // log sum exp(z), float32
  at::Tensor logprobs() const;                      // of the targets, nats, float32
  at::Tensor entropy() const;                       // nats, float32
  at::Tensor square_logsum() const;                 // log sum of squared probabilities, float32
  at::Tensor mean_logit(std::int64_t words) const;  // over a vocabulary of `words`, float32
  at::Tensor is_top() const;  // 1 where no logit exceeds the target's, else 0; float32
  /// KL(softmax z || softmax p), nats, float32. @param p statistics of the other logits
  at::Tensor divergence_from(const LogitStatistics& p) const;
};

struct WantedStatistics {
  bool entropy = false, square_logsum = false, divergence = false, mean_logit = false;
};
LogitStatistics start_statistics(std::int64_t rows, at::Device device,
                                 const WantedStatistics& wanted);

/// Adds the logits of words `first` .. first + B - 1.
/// @param logits [C, B] float32   @param targets [C] int64 word ids
/// @param others [C, B] float32: logits p of the same words; needed exactly where a divergence is
/// wanted
void add_logits(LogitStatistics& statistics, const at::Tensor& logits, std::int64_t first,
                const at::Tensor& targets, const at::Tensor& others = {});

/// What the gradient of a row's logits is made of.
struct LogitGradient {
  at::Tensor logsumexp, targets, dlogprob;  // [C] float32, int64, float32
  at::Tensor dkl, q_logsumexp;              // [C] float32; undefined: no gradient of KL(q || p)
};

/// dlogprob * (onehot(target) - p) + dkl * (p - q) for words `first` .. first + B - 1.
/// @param logits [C, B] float32   @param q_logits [C, B] float32, needed with dkl   @return [C, B]
/// of type `output`
at::Tensor logit_gradient(const LogitGradient& gradient, const at::Tensor& logits,
                          const at::Tensor& q_logits, std::int64_t first, at::ScalarType output);

namespace portable {
void add_logits(LogitStatistics& statistics, const at::Tensor& logits, std::int64_t first,
                const at::Tensor& targets, const at::Tensor& others);
at::Tensor logit_gradient(const LogitGradient& gradient, const at::Tensor& logits,
                          const at::Tensor& q_logits, std::int64_t first, at::ScalarType output);
}  // namespace portable
}  // namespace plumb::kernels
