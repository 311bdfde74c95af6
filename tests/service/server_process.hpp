#pragma once
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "service/http_client.hpp"

namespace plumb::test {

/// service_fake_server as a child process, so that its limits are its own.
class ServerProcess {
 public:
  /// @param descriptors  its RLIMIT_NOFILE; 0: as here
  explicit ServerProcess(std::vector<std::string> arguments, rlim_t descriptors = 0) {
    arguments.insert(arguments.begin(),
                     std::string(PLUMB_BINARY_DIR) + "/tests/service_fake_server");
    arguments.emplace_back("--serve.port=0");
    arguments.emplace_back("--serve.request_log=");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    pid_ = fork();
    if (pid_ == 0) {
      if (descriptors > 0) {
        const rlimit limit{descriptors, descriptors};
        setrlimit(RLIMIT_NOFILE, &limit);
      }
      dup2(ends[1], STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    ::close(ends[1]);
    log_ = ends[0];
    port_ = read_port();
    while (Client(port_).request("GET", "/ready").status != 200)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ~ServerProcess() {
    stop();
    ::close(log_);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::uint16_t port() const { return port_; }
  void signal(int number) const { ::kill(pid_, number); }
  /// Ends it by SIGTERM. @return its exit code, or 128 + signal
  int stop() {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      waitpid(pid_, &status_, 0);
      pid_ = 0;
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }
  /// A line of /metrics, its value.
  double metric(const std::string& name) const {
    const std::string text = "\n" + Client(port_).request("GET", "/metrics").body;
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? 0 : std::stod(text.substr(at + name.size() + 2));
  }

 private:
  std::uint16_t read_port() const {
    std::string text;
    char bytes[512];
    for (;;) {
      const std::size_t at = text.find("127.0.0.1:");
      if (at != std::string::npos && text.find('\n', at) != std::string::npos)
        return static_cast<std::uint16_t>(std::stoi(text.substr(at + 10)));
      const auto count = ::read(log_, bytes, sizeof bytes);
      if (count <= 0) throw std::runtime_error("the server did not start: " + text);
      text.append(bytes, static_cast<std::size_t>(count));
    }
  }
  pid_t pid_ = 0;
  int status_ = 0, log_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace plumb::test
