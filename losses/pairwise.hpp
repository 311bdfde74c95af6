#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "losses/loss.hpp"

/// What the losses share: they are sums of per-pair values, computed in float64 from per-token
/// log-probs.
namespace plumb {

/// A loss before its pairs are summed. All tensors are [B] float64 and carry gradient.
struct PairTerms {
  std::vector<at::Tensor> values;  // of every term, in the order of terms(), without its weight
  at::Tensor margin;               // implicit reward margin
  std::vector<Metric> metrics{};
  at::Tensor history{};  // [B, 3] what to remember of each pair; undefined unless Needs::history
};

/// A loss that is a sum over pairs. Modifiers (T-REG, reweighting, early-learning regularisation)
/// wrap one.
class PairwiseLoss : public PreferenceLoss {
 public:
  virtual PairTerms pair_terms(const PreferenceBatch& batch) const = 0;
  /// Checks that the batch holds what needs() asks for, then sums the pairs of each term.
  LossOutput operator()(const PreferenceBatch& batch) const final;
};

/// Sums a per-token tensor over each response. @param values [N] @return [B] float64
at::Tensor response_sum(const ResponseSide& side, const at::Tensor& values);

/// Response lengths, at least 1. @return [B] float64, no gradient
at::Tensor response_lengths(const ResponseSide& side);

/// Summed log-ratio S - R of each response. Policy and reference are subtracted token by token
/// before the sum, which keeps small differences of long responses. @return [B] float64
at::Tensor log_ratio(const ResponseSide& side);

/// The soft labels, or nothing if every pair is certain. @return [B] float64
std::optional<at::Tensor> soft_labels(const PreferenceBatch& batch);

/// label (1 - smoothing) + (1 - label) smoothing: the chance that chosen beats rejected. @return
/// [B] float64
at::Tensor smoothed_labels(const PreferenceBatch& batch, double smoothing);

/// Throws UsageError if a pair has a soft label: the loss `name` cannot use it.
void require_hard_labels(const PreferenceBatch& batch, const std::string& name);

/// Collects metrics; the sums of all tensors leave the device in one copy.
class MetricList {
 public:
  void add(std::string name, double sum, double count);
  /// @param values the sum of all its elements is taken
  void add(std::string name, const at::Tensor& values, double count);
  /// TRL's names for rewards and log-probs, and the lengths. @param chosen, rejected [B] implicit
  /// rewards
  void add_rewards(const PreferenceBatch& batch, const at::Tensor& chosen,
                   const at::Tensor& rejected);
  std::vector<Metric> take();

 private:
  std::vector<Metric> metrics_;
  std::vector<std::pair<std::size_t, at::Tensor>> pending_;  // index of the metric, its sum
};

}  // namespace plumb
