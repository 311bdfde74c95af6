#pragma once
#include <atomic>
#include <functional>
#include <string>

#include "service/http_message.hpp"

namespace plumb::service {

/// One request that waits for its reply. The HTTP side implements it; the service answers it once,
/// from any thread.
class Exchange {
 public:
  virtual ~Exchange() = default;

  HttpRequest request;
  std::string route;       // as metrics and log name it
  std::string error_kind;  // why it was refused, for the metric; "" if it was not
  RequestCosts costs;

  /// The whole reply.
  virtual void reply(Reply reply) = 0;
  /// One part of a streamed reply (text/event-stream), sent at once; the first one sends the head.
  virtual void send_event(std::string event) = 0;
  /// Ends a streamed reply.
  virtual void end_stream() = 0;
  /// Runs `task` on the I/O thread.
  virtual void on_io_thread(std::function<void()> task) = 0;
  /// Set when the client went away or the deadline passed: nobody reads the reply.
  std::atomic<bool> abandoned{false};
};

}  // namespace plumb::service
