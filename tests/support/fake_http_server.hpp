#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

/// A small HTTP server in this process that misbehaves on demand.
namespace plumb::test {

struct HttpRequestSeen {
  std::string method, target, head, body;
};

/// What the server does with one request.
struct HttpAnswer {
  int status = 200;
  std::string body = {};
  std::string headers = {};   // whole lines, each with \r\n
  double delay = 0;           // seconds before the reply
  bool close_before = false;  // the connection ends without a reply
  bool close_after = false;   // it ends after the reply, without saying so
  std::string raw = {};       // sent in place of the reply
};

class FakeHttpServer {
 public:
  using Handler = std::function<HttpAnswer(const HttpRequestSeen&)>;

  explicit FakeHttpServer(Handler handler)
      : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (listener_ < 0 || ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no port for the fake server");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~FakeHttpServer() {
    ended_ = true;
    thread_.join();
    for (std::thread& connection : connections_) connection.join();
    ::close(listener_);
  }
  FakeHttpServer(const FakeHttpServer&) = delete;
  FakeHttpServer& operator=(const FakeHttpServer&) = delete;

  std::string url(const std::string& path = "") const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  std::vector<HttpRequestSeen> seen() const {
    const std::scoped_lock lock(mutex_);
    return seen_;
  }
  int connections() const { return accepted_; }

 private:
  bool readable(int socket) const {
    while (!ended_) {
      pollfd ready{socket, POLLIN, 0};
      if (::poll(&ready, 1, 5) > 0) return true;
    }
    return false;
  }
  void accept_all() {
    while (readable(listener_)) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      ++accepted_;
      connections_.emplace_back([this, socket] {
        serve(socket);
        ::close(socket);
      });
    }
  }
  void serve(int socket) {
    std::string buffer;
    for (HttpRequestSeen request; read(socket, buffer, request);) {
      {
        const std::scoped_lock lock(mutex_);
        seen_.push_back(request);
      }
      const HttpAnswer answer = handler_(request);
      for (double left = answer.delay; left > 0 && !ended_; left -= 0.005)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (answer.close_before) return;
      const std::string reply = !answer.raw.empty()
                                    ? answer.raw
                                    : "HTTP/1.1 " + std::to_string(answer.status) + " x\r\n" +
                                          answer.headers +
                                          "Content-Length: " + std::to_string(answer.body.size()) +
                                          "\r\n\r\n" + answer.body;
      ::send(socket, reply.data(), reply.size(), MSG_NOSIGNAL);
      if (answer.close_after || !answer.raw.empty()) return;
    }
  }
  bool fill(int socket, std::string& buffer) const {
    if (!readable(socket)) return false;
    char bytes[4096];
    const auto count = ::recv(socket, bytes, sizeof bytes, 0);
    if (count <= 0) return false;
    buffer.append(bytes, static_cast<std::size_t>(count));
    return true;
  }
  bool read(int socket, std::string& buffer, HttpRequestSeen& request) const {
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!fill(socket, buffer)) return false;
    }
    request.head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    const std::size_t first = request.head.find(' ');
    request.method = request.head.substr(0, first);
    request.target = request.head.substr(first + 1, request.head.find(' ', first + 1) - first - 1);
    const std::string name = "Content-Length: ";
    const std::size_t field = request.head.find(name);
    const std::size_t size =
        field == std::string::npos ? 0 : std::stoul(request.head.substr(field + name.size()));
    while (buffer.size() < size) {
      if (!fill(socket, buffer)) return false;
    }
    request.body = buffer.substr(0, size);
    buffer.erase(0, size);
    return true;
  }

  Handler handler_;
  int listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> ended_{false};
  std::atomic<int> accepted_{0};
  mutable std::mutex mutex_;
  std::vector<HttpRequestSeen> seen_;
  std::vector<std::thread> connections_;
  std::thread thread_;
};

}  // namespace plumb::test
