#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

/// Plain sockets: tests send exactly the bytes they mean.
namespace plumb::test {

struct Answer {
  int status = 0;                              // 0: the connection ended without a reply
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  nlohmann::json json() const { return nlohmann::json::parse(body); }
};

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (socket_ < 0 ||
        ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("no connection to the server");
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  /// Closes so that the peer gets a reset.
  void reset() {
    const linger hard{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }
  void shut_sending() { ::shutdown(socket_, SHUT_WR); }
  bool send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const auto count = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return false;
      sent += static_cast<std::size_t>(count);
    }
    return true;
  }
  /// The next reply, skipping interim ones; status 0 if the connection ended or `seconds` passed.
  Answer receive(double seconds = 20) {
    set_deadline(seconds);
    for (;;) {
      Answer answer = receive_one();
      if (answer.status == 0 || answer.status >= 200) return answer;
    }
  }
  Answer request(const std::string& method, const std::string& path, const std::string& body = "",
                 const std::string& headers = "Content-Type: application/json\r\n") {
    send(method + " " + path + " HTTP/1.1\r\nHost: x\r\n" + headers +
         (body.empty() && method == "GET"
              ? ""
              : "Content-Length: " + std::to_string(body.size()) + "\r\n") +
         "\r\n" + body);
    return receive();
  }
  Answer post(const std::string& path, const nlohmann::json& body) {
    return request("POST", path, body.dump());
  }
  /// Whether the server closed the connection within the time.
  bool is_closed(double seconds = 5) {
    set_deadline(seconds);
    while (fill()) {
    }
    return ended_;
  }

 private:
  void set_deadline(double seconds) {
    deadline_ = std::chrono::steady_clock::now() +
                std::chrono::milliseconds(static_cast<std::int64_t>(1000 * seconds));
  }
  bool fill() {
    pollfd ready{socket_, POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline_ - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) return false;
    char bytes[65536];
    const auto count = ::recv(socket_, bytes, sizeof bytes, 0);
    if (count <= 0) {
      ended_ = true;
      return false;
    }
    buffer_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }
  std::string take(std::size_t size) {
    std::string part = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return part;
  }
  std::string line() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) {
      if (!fill()) return "";
    }
    std::string text = take(end + 2);
    text.resize(end);
    return text;
  }
  Answer receive_one() {
    Answer answer;
    const std::string start = line();
    if (start.size() < 12) return answer;
    answer.status = std::stoi(start.substr(9, 3));
    for (std::string field = line(); !field.empty(); field = line()) {
      const std::size_t colon = field.find(':');
      std::string name = field.substr(0, colon);
      for (char& c : name) c = static_cast<char>(std::tolower(c));
      answer.headers[name] = field.substr(std::min(field.size(), colon + 2));
    }
    if (answer.headers["transfer-encoding"] == "chunked") {
      for (;;) {
        const std::size_t size = std::stoul("0" + line(), nullptr, 16);
        while (buffer_.size() < size + 2 && fill()) {
        }
        answer.body += take(size);
        take(2);
        if (size == 0 || ended_) return answer;
      }
    }
    if (answer.status < 200) return answer;
    const std::size_t size = std::stoul("0" + answer.headers["content-length"]);
    while (buffer_.size() < size && fill()) {
    }
    answer.body = take(size);
    return answer;
  }

  int socket_;
  std::string buffer_;
  bool ended_ = false;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace plumb::test
