#pragma once
#include <thread>

#include "service/fake_models.hpp"
#include "service/http_client.hpp"
#include "service/http_server.hpp"

#include "support/catch.hpp"

namespace plumb::test {

/// The whole service in this process, on a free port.
class TestServer {
 public:
  explicit TestServer(service::ServeOptions options = {}, FakeOptions fake = {},
                      std::vector<std::string> keys = {}, service::Service::Loader loader = {},
                      std::unique_ptr<service::ScoreSink> sink = nullptr)
      : options_(adapted(std::move(options))),
        service_(
            options_, service::Access(keys),
            loader ? std::move(loader) : [fake]() -> std::shared_ptr<const service::ServedModels> {
              return fake_models(fake);
            },
            std::move(sink), "test"),
        server_(service_),
        port_(server_.port()),
        thread_([this] { server_.run(); }) {
    service_.start([this](std::exception_ptr error) { server_.fail(std::move(error)); });
  }
  ~TestServer() { stop(); }

  void wait_until_ready() {
    while (Client(port_).request("GET", "/ready").status != 200)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  void stop() {
    if (!thread_.joinable()) return;
    server_.drain();
    thread_.join();
  }
  std::uint16_t port() const { return port_; }
  service::Service& service() { return service_; }
  service::HttpServer& server() { return server_; }

 private:
  static service::ServeOptions adapted(service::ServeOptions options) {
    options.port = 0;
    options.request_log = "";
    return options;
  }
  service::ServeOptions options_;
  service::Service service_;
  service::HttpServer server_;
  std::uint16_t port_;
  std::thread thread_;
};

/// A server that is ready.
struct ReadyServer : TestServer {
  template <class... Arguments>
  explicit ReadyServer(Arguments&&... arguments)
      : TestServer(std::forward<Arguments>(arguments)...) {
    wait_until_ready();
  }
  Answer post(const std::string& path, const nlohmann::json& body) {
    return Client(port()).post(path, body);
  }
  /// The reply to a request that must succeed.
  nlohmann::json ok(const std::string& path, const nlohmann::json& body) {
    const Answer answer = post(path, body);
    INFO(path << " " << answer.body);
    REQUIRE(answer.status == 200);
    return answer.json();
  }
};

}  // namespace plumb::test
