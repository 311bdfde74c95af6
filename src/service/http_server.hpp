#pragma once
#include <cstdint>
#include <exception>
#include <memory>

#include "service/service.hpp"

namespace plumb::service {

/// The sockets of the service: HTTP/1.1 with keep-alive and pipelining, on one I/O thread.
class HttpServer {
 public:
  /// Binds the address of the options. Throws UsageError if that is not possible.
  explicit HttpServer(Service& service);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  /// Serves until SIGTERM or SIGINT and the drain after it (a second signal ends at once); SIGHUP
  /// reloads the modules. Rethrows what fail() was given.
  void run();
  /// Ends run() with an error; from any thread.
  void fail(std::exception_ptr error);
  /// Begins the drain as SIGTERM does; from any thread.
  void drain();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace plumb::service
