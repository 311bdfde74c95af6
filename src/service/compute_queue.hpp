#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "service/score_job.hpp"
#include "service/text_task.hpp"

namespace plumb::service {

/// What waits for the compute thread, within a budget of tokens and requests.
class ComputeQueue {
 public:
  struct Limits {
    std::int64_t max_tokens, max_requests;
  };
  struct Work {
    std::shared_ptr<ScoreJob> job;
    std::size_t item, module;
  };
  struct Batch {
    std::vector<Work> works;
    std::shared_ptr<TextJob> text;
    std::vector<Work> dropped;  // nobody waits for them any more
    bool closed = false;
  };

  explicit ComputeQueue(Limits limits) : limits_(limits) {}

  /// Sets budget aside for one whole request, or refuses it. One that exceeds the budget by itself
  /// is taken when there is no other. Every reservation ends in release().
  bool reserve(std::int64_t tokens);
  bool is_full() const;
  /// Queues what was reserved. Scores that are already there (`job->at(i, m).score`) are left out;
  /// `job->remaining` others must be left.
  void push(const std::shared_ptr<ScoreJob>& job);
  void push(const std::shared_ptr<TextJob>& job);
  /// Waits for work. Scores in order of arrival up to `max_tokens` (at least one), or a completion;
  /// both kinds take turns. @param max_wait_us  how long to wait for a fuller batch
  Batch take(std::int64_t max_tokens, std::int64_t max_wait_us);
  /// The scores that wait now, without waiting for more.
  Batch take_scores(std::int64_t max_tokens);
  /// The completion that waits longest, if it is for this model.
  std::shared_ptr<TextJob> take_text(const TextModel& model);
  /// Gives the budget of finished work back.
  void release(std::int64_t tokens, std::int64_t requests);
  /// Ends take(); what waits is not run.
  void close();
  bool is_closed() const;

  std::int64_t tokens() const;
  std::int64_t requests() const;

 private:
  void take_scores_locked(std::int64_t max_tokens, Batch& batch);

  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> works_;
  std::deque<std::shared_ptr<TextJob>> texts_;
  std::int64_t waiting_tokens_ = 0;         // in works_
  std::int64_t tokens_ = 0, requests_ = 0;  // admitted and not released
  bool text_next_ = false, closed_ = false;
};

}  // namespace plumb::service
