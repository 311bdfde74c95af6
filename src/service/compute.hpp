#pragma once
#include <span>
#include <thread>

#include "service/compute_queue.hpp"
#include "service/metrics.hpp"
#include "service/score_cache.hpp"
#include "service/score_sink.hpp"

namespace plumb::service {

/// The one thread that runs models. It takes batches from the queue, scores them module by module
/// (shortest texts first, each distinct text once), and hands finished requests back to the I/O
/// thread.
class Compute {
 public:
  struct Options {
    std::int64_t max_batch_tokens, max_wait_us;
    bool batch_invariant;
  };
  /// @param sink  may be nullptr
  Compute(Options options, ComputeQueue& queue, ScoreCache& cache, Metrics& metrics,
          ScoreSink* sink);
  ~Compute();
  Compute(const Compute&) = delete;
  Compute& operator=(const Compute&) = delete;

  /// Ends after the batch in hand.
  void stop();

 private:
  using Work = ComputeQueue::Work;
  void loop();
  void run_waiting_scores();
  void run(ComputeQueue::Batch&& batch);
  void run_module(const ServedModule& module, std::span<Work> works);
  /// One score each, in order; a failure of the module becomes the error of its samples.
  std::vector<ModuleScore> score(const ServedModule& module, std::span<const RewardSample> samples);
  void keep(const ServedModule& module, std::span<const Work> works,
            std::span<const ModuleScore> scores, std::int64_t latency_us);
  void finish(const Work& work);

  const Options options_;
  ComputeQueue& queue_;
  ScoreCache& cache_;
  Metrics& metrics_;
  ScoreSink* sink_;
  std::thread thread_;
};

}  // namespace plumb::service
