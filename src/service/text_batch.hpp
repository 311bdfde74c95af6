#pragma once
#include <functional>
#include <list>
#include <map>
#include <memory>

#include "service/compute_queue.hpp"
#include "service/metrics.hpp"

namespace plumb::service {

/// Completions that are sampled together: whatever waits for the same model joins, in order of
/// arrival, as soon as a row is free. A request's result does not depend on the others, and its
/// failure or its client's leaving ends it alone.
class TextBatch {
 public:
  /// @param breathe  called between tokens: scores that wait get their turn
  TextBatch(ComputeQueue& queue, Metrics& metrics, std::function<void()> breathe)
      : queue_(queue), metrics_(metrics), breathe_(std::move(breathe)) {}
  TextBatch(const TextBatch&) = delete;
  TextBatch& operator=(const TextBatch&) = delete;

  /// Returns when nothing runs and nothing waits for this model.
  void run(std::shared_ptr<TextJob> first);

 private:
  struct Running {
    std::shared_ptr<TextJob> job;
    std::unique_ptr<TextTask> task;
    std::vector<RolloutRequest> requests;
    std::size_t given = 0;    // requests that the model took
    std::int64_t open = 0;    // samples of these that are not done
    std::int64_t tokens = 0;  // sampled
    bool failed = false;
    bool is_wanted() const { return !failed && !job->exchange->abandoned; }
  };
  using Place = std::list<Running>::iterator;
  struct Sampled {
    Place running;
    std::size_t request;  // of the task
    std::int64_t open;    // samples that are not done
  };

  const RolloutRequest* next();
  bool token(const RolloutResponse& response);
  void done(RolloutResponse&& response);
  void start(std::shared_ptr<TextJob> job);
  /// Ends a task if all that was wanted of it is done.
  void finish_if_done(Place running);
  void fail(Running& running, std::exception_ptr error);
  void show_running();

  ComputeQueue& queue_;
  Metrics& metrics_;
  std::function<void()> breathe_;
  std::shared_ptr<TextModel> model_;
  std::shared_ptr<TextJob> first_;
  std::list<Running> running_;
  std::map<std::size_t, Sampled> sampled_;  // by the model's number of the request
  std::size_t count_ = 0;                   // requests that the model took
};

}  // namespace plumb::service
