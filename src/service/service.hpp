#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "service/access.hpp"
#include "service/compute.hpp"
#include "service/dialect.hpp"
#include "service/request_log.hpp"
#include "service/task_thread.hpp"

namespace plumb::service {

/// The scoring service without its sockets: routes, admission, batching, cache, metrics.
class Service {
 public:
  /// Loads the models; called on a thread of its own at the start and for every reload. Throws
  /// UsageError, DataError.
  using Loader = std::function<std::shared_ptr<const ServedModels>()>;
  /// What a first load that fails tells the program.
  using OnFailure = std::function<void(std::exception_ptr)>;

  /// @param sink  may be empty
  Service(const ServeOptions& options, Access access, Loader loader,
          std::unique_ptr<ScoreSink> sink, const std::string& version);

  /// Begins to load the models. Until they are there, scoring routes answer 503.
  void start(OnFailure on_failure);
  /// Answers a request that needs no body to be refused: unknown route or method, missing key,
  /// wrong media type, overload. Sets the exchange's route.
  std::optional<Reply> refuse_early(Exchange& exchange);
  /// Answers the request, now or later. Called on the I/O thread.
  void handle(const std::shared_ptr<Exchange>& exchange);
  /// Loads the modules again beside the old ones and swaps them; with `exchange`, tells the result.
  void reload(const std::shared_ptr<Exchange>& exchange = nullptr);
  /// /ready says 503 from now on.
  void begin_drain() { draining_ = true; }
  bool is_draining() const { return draining_; }
  /// Ends all threads after the work in hand and forgets what waits.
  void stop();
  /// Counts and logs a request that was answered.
  void finished(const Exchange& exchange, RequestLog::Line line);

  const ServeOptions& options() const { return options_; }
  Metrics& metrics() { return metrics_; }
  std::shared_ptr<const ServedModels> models() const;
  std::int64_t waiting_requests() const { return queue_.requests(); }
  std::int64_t waiting_tokens() const { return queue_.tokens(); }

 private:
  Reply get(const std::string& path);
  Reply metrics_text();
  void process(const std::shared_ptr<Exchange>& exchange);
  void score(const std::shared_ptr<Exchange>& exchange, ErrorStyle style,
             const std::shared_ptr<const ServedModels>& loaded, ScorePlan plan);
  void complete(const std::shared_ptr<Exchange>& exchange, ErrorStyle style,
                const std::shared_ptr<const ServedModels>& loaded, TextPlan plan);
  /// Counts tokens and takes what the cache knows. @return cost of the scores that are there
  std::int64_t look_up(ScoreJob& job, const ScorePlan& plan);
  Reply overloaded(ErrorStyle style);
  const Route* find_route(const std::string& path) const;

  const ServeOptions options_;
  const Access access_;
  const Loader loader_;
  const std::string version_;
  const std::int64_t started_at_;  // Unix seconds
  std::unique_ptr<ScoreSink> sink_;
  Metrics metrics_;
  RequestLog log_;
  ScoreCache cache_;
  ComputeQueue queue_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ServedModels> models_;  // guarded by mutex_
  std::atomic<bool> draining_{false}, loading_{false};
  Compute compute_;
  TaskThread prepare_;  // reads large bodies
  TaskThread loads_;
};

}  // namespace plumb::service
