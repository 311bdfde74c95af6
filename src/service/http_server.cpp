#include "service/http_server.hpp"

#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <utility>

#include "core/log.hpp"
#include "service/http_connection.hpp"

namespace plumb::service {
namespace {

using namespace http_detail;

constexpr char kFull[] =
    "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: "
    "close\r\n\r\n";

/// As many descriptors as the system allows this process.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

struct HttpServer::Impl {
  explicit Impl(Service& service_)
      : service(service_),
        shared{service_, io, {}, 0, false, [this] { io.stop(); }},
        acceptor(io),
        signals(io, SIGTERM, SIGINT, SIGHUP),
        timer(io) {}
  ~Impl() {
    service.stop();  // lets go of all exchanges, which hold timers of `io`
    shared.on_last_closed = [] {};
  }

  void bind() {
    const ServeOptions& options = service.options();
    const std::string where = cat("serve.host = ", options.host, ", serve.port = ", options.port);
    error_code ec;
    tcp::resolver resolver(io);
    const auto found =
        resolver.resolve(options.host, std::to_string(options.port), tcp::resolver::passive, ec);
    if (ec || found.empty())
      throw UsageError(cat(where, ": the address is not known: ", ec.message()));
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (!ec) acceptor.listen(4096, ec);
    if (ec) throw UsageError(cat(where, ": cannot listen there: ", ec.message()));
  }

  net::awaitable<void> accept_loop() {
    const auto most = static_cast<std::size_t>(service.options().max_connections);
    for (;;) {
      error_code ec;
      tcp::socket socket = co_await acceptor.async_accept(net::redirect_error(use_awaitable, ec));
      if (ec == net::error::operation_aborted || !acceptor.is_open()) co_return;
      if (ec) {
        service.metrics().add("plumb_accept_errors_total");
        net::steady_timer pause(io, std::chrono::milliseconds(100));
        co_await pause.async_wait(net::redirect_error(use_awaitable, ec));
        continue;
      }
      service.metrics().add("plumb_connections_total");
      if (shared.connections.size() >= most) {
        service.metrics().add("plumb_rejected_total", "reason=\"connections\"");
        ::send(socket.native_handle(), kFull, sizeof kFull - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        continue;
      }
      const auto connection = std::make_shared<Connection>(std::move(socket), shared);
      const auto serve = [](std::shared_ptr<Connection> held) -> net::awaitable<void> {
        co_await held->run();
      };
      net::co_spawn(io, serve(connection), [](std::exception_ptr error) {
        if (!error) return;
        try {
          std::rethrow_exception(error);
        } catch (const std::exception& problem) {
          log::error(cat("a connection failed: ", problem.what()));
        }
      });
    }
  }

  net::awaitable<void> signal_loop() {
    for (;;) {
      error_code ec;
      const int number = co_await signals.async_wait(net::redirect_error(use_awaitable, ec));
      if (ec) co_return;
      if (number == SIGHUP) {
        service.reload();
      } else if (service.is_draining()) {
        log::warn("second signal: ends at once");
        io.stop();
      } else {
        begin_drain();
      }
    }
  }

  void begin_drain() {
    if (service.is_draining()) return;
    service.begin_drain();
    log::info("draining: requests in flight are finished");
    net::co_spawn(io, drain_steps(), net::detached);
  }

  net::awaitable<void> drain_steps() {
    error_code ec;
    timer.expires_after(seconds(service.options().drain_delay));
    co_await timer.async_wait(net::redirect_error(use_awaitable, ec));
    acceptor.close(ec);
    shared.closing = true;
    const std::set<Connection*> open = shared.connections;
    for (Connection* connection : open) connection->close_if_idle();
    if (shared.connections.empty()) io.stop();
    timer.expires_after(seconds(service.options().drain_timeout));
    co_await timer.async_wait(net::redirect_error(use_awaitable, ec));
    log::warn(cat(shared.connections.size(), " connections were cut at the end of the drain"));
    io.stop();
  }

  Service& service;
  Shared shared;  // outlives the connections, which live in `io`
  net::io_context io{1};
  tcp::acceptor acceptor;
  net::signal_set signals;
  net::steady_timer timer;
  std::exception_ptr error;
};

HttpServer::HttpServer(Service& service) : impl_(std::make_unique<Impl>(service)) {
  raise_descriptor_limit();
  impl_->bind();
}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const { return impl_->acceptor.local_endpoint().port(); }

void HttpServer::run() {
  std::signal(SIGPIPE, SIG_IGN);  // a request log whose reader went away is no reason to die
  net::co_spawn(impl_->io, impl_->accept_loop(), net::detached);
  net::co_spawn(impl_->io, impl_->signal_loop(), net::detached);
  impl_->io.run();
  if (impl_->error) std::rethrow_exception(impl_->error);
}

void HttpServer::fail(std::exception_ptr error) {
  net::post(impl_->io, [this, error = std::move(error)] {
    impl_->error = error;
    impl_->io.stop();
  });
}

void HttpServer::drain() {
  net::post(impl_->io, [this] { impl_->begin_drain(); });
}

}  // namespace plumb::service
