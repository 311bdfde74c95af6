#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "losses/loss.hpp"
#include "model/decoder.hpp"
#include "train/micro_batch.hpp"
#include "train/train_options.hpp"

namespace plumb {

/// What one optimizer step did. Losses, margins and log-probs are those before its update.
struct StepResult {
  std::int64_t step = 0;  // 1-based
  double epoch = 0.0, learning_rate = 0.0, loss = 0.0;
  double grad_norm = 0.0;  // before clipping
  std::int64_t tokens = 0;
  double max_reference_gap = 0.0;  // largest |log-prob - reference log-prob| of a token, nats
  std::vector<std::pair<std::string, double>> metrics;
  struct Pair {
    std::int64_t id = 0;
    double loss = 0.0, margin = 0.0, logp_chosen = 0.0, logp_rejected = 0.0;
    std::vector<double> history{};  // LossOutput::history; empty unless Needs::history
  };
  std::vector<Pair> pairs;
};

/// Turns pairs into updates of a policy: a fixed plan of optimizer steps, each a function of
/// weights, moments and its pairs.
class Trainer {
 public:
  /// @param pairs      all pairs of this training; must outlive the trainer
  /// @param reference  live reference, only needed by losses with Needs::kl
  /// @param order_seed decides the order of the pairs in each epoch
  Trainer(Decoder& policy, const PreferenceLoss& loss, const TrainOptions& options,
          std::span<const TrainingPair> pairs, std::uint64_t order_seed,
          const Decoder* reference = nullptr);
  ~Trainer();

  std::int64_t total_steps() const;
  std::int64_t steps_done() const;

  /// Runs the next optimizer step. Throws DataError naming step and pairs if a loss or the gradient
  /// is not finite; the weights are then those before the step.
  StepResult step();

  /// Writes weights, moments and the step number so that a restored trainer goes on to the same
  /// bits. Atomic.
  void save_state(const std::filesystem::path& folder) const;
  /// Restores what save_state wrote. Throws DataError if the folder is of another model or plan.
  void load_state(const std::filesystem::path& folder);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumb
