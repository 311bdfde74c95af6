#pragma once
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>

#include "service/exchange.hpp"

namespace plumb::service {

/// An exchange whose reply wakes the coroutine of its connection. All members but the overrides
/// belong to the I/O thread.
class HttpExchange final : public Exchange, public std::enable_shared_from_this<HttpExchange> {
 public:
  explicit HttpExchange(boost::asio::io_context& io) : wake(io), io_(io) {}

  std::optional<Reply> answer;
  std::deque<std::string> events;  // of a streamed reply, not yet sent
  bool streams = false, stream_ended = false;
  boost::asio::steady_timer wake;  // expires at the deadline; cancelled by news

  void reply(Reply reply) override {
    boost::asio::dispatch(io_, [self = shared_from_this(), reply = std::move(reply)]() mutable {
      if (!self->answer) self->answer = std::move(reply);
      self->wake.cancel();
    });
  }
  void send_event(std::string event) override {
    boost::asio::dispatch(io_, [self = shared_from_this(), event = std::move(event)]() mutable {
      self->streams = true;
      self->events.push_back(std::move(event));
      self->wake.cancel();
    });
  }
  void end_stream() override {
    boost::asio::dispatch(io_, [self = shared_from_this()] {
      self->stream_ended = true;
      self->wake.cancel();
    });
  }
  void on_io_thread(std::function<void()> task) override {
    boost::asio::post(io_, std::move(task));
  }

 private:
  boost::asio::io_context& io_;
};

}  // namespace plumb::service
