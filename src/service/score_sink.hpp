#pragma once
#include <memory>
#include <span>

#include "service/score_cache.hpp"
#include "service/served_models.hpp"

namespace plumb::service {

/// A score that was just computed.
struct ScoreRecord {
  const ServedModule* module;
  const RewardSample* sample;
  const Score* score;
  std::int64_t latency_us;
};

/// Keeps scores beyond the process. Throws DataError.
class ScoreSink {
 public:
  virtual ~ScoreSink() = default;
  /// One batch: all of it is kept or nothing. Called by the compute thread.
  virtual void add(std::span<const ScoreRecord> records) = 0;
  /// Fills the cache with what was kept for these modules. Called for every load of them, on
  /// another thread, also while add() runs.
  virtual void recall(const ServedModels& models, ScoreCache& cache) = 0;
};

}  // namespace plumb::service
