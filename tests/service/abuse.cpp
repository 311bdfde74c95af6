#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>

#include "config/config.hpp"
#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/strings.hpp"
#include "service/abuse_attacks.hpp"
#include "support/files.hpp"

/// service_abuse [--seconds=N] [--server=PROGRAM] ...: attacks a server of its own with everything
/// at once and checks that it stays sound: normal requests are answered with the right values all
/// the time, no connection and no queued token is left afterwards, memory is bounded, and the
/// process ends with 0 (so that a sanitizer's finding shows).
namespace plumb::test {
namespace {

struct AbuseOptions {
  double seconds = 10;
  std::string server = PLUMB_BINARY_DIR "/tests/service_fake_server";
  std::int64_t attackers = 16, crowd = 2000, seed = 1, rss_mb = 700;
  double patience = 10;
  static void describe(auto& self, auto&& field) {
    field("seconds", self.seconds, Range{0.1, 1e6}, "how long");
    field("server", self.server, "the server program");
    field("attackers", self.attackers, Range{1, 1000}, "attacking threads");
    field("crowd", self.crowd, Range{0, 100000}, "connections opened and dropped in bulk");
    field("seed", self.seed, Range{0, 9e15}, "of the random choices");
    field("rss_mb", self.rss_mb, Range{1, 1e6}, "largest memory of the server, MiB");
    field("patience", self.patience, Range{0.1, 1e6}, "longest time of a normal request, seconds");
  }
};

/// The server as a child process with short time-outs.
class ServerProcess {
 public:
  ServerProcess(const std::string& program, const std::filesystem::path& log) : log_(log) {
    pid_ = fork();
    if (pid_ == 0) {
      const int out = open("/dev/null", O_WRONLY),
                err = open(log.c_str(), O_WRONLY | O_CREAT, 0644);
      dup2(out, STDOUT_FILENO);
      dup2(err, STDERR_FILENO);
      execl(program.c_str(), program.c_str(), "--serve.port=0",
            "--serve.request_log=", "--serve.header_timeout=1", "--serve.body_timeout=1",
            "--serve.write_timeout=1", "--serve.idle_timeout=2", "--serve.max_body_mb=4",
            "--serve.max_bodies_mb=64", "--serve.drain_timeout=10", "--serve.route_scalar=/reward",
            "--fake.policy=true", "--fake.ms_per_text=0.2", nullptr);
      _exit(127);
    }
    while ((port_ = port_in_log()) == 0) {
      if (!is_running()) throw DataError(cat("the server does not start: ", contents()));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  ~ServerProcess() {
    if (is_running()) kill(pid_, SIGKILL);
  }

  bool is_running() {
    if (!status_ && waitpid(pid_, &raw_status_, WNOHANG) == pid_) status_ = raw_status_;
    return !status_;
  }
  /// @return exit code, 128 + signal, or -1 if it did not end in time
  int stop(double seconds) {
    kill(pid_, SIGTERM);
    for (double waited = 0; is_running() && waited < seconds; waited += 0.02)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (!status_) return -1;
    return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
  }
  double rss_mib() const {
    std::ifstream in(cat("/proc/", pid_, "/status"));
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("VmRSS:")) return std::stod(line.substr(6)) / 1024;
    }
    return 0;
  }
  std::uint16_t port() const { return port_; }
  std::string contents() const {
    std::ifstream in(log_);
    return {std::istreambuf_iterator<char>(in), {}};
  }

 private:
  std::uint16_t port_in_log() const {
    const std::string mark = "listening on 127.0.0.1:", text = contents();
    const std::size_t at = text.find(mark);
    if (at == std::string::npos || text.find('\n', at) == std::string::npos) return 0;
    return static_cast<std::uint16_t>(std::stoi(text.substr(at + mark.size())));
  }
  std::filesystem::path log_;
  pid_t pid_ = 0;
  std::uint16_t port_ = 0;
  int raw_status_ = 0;
  std::optional<int> status_;
};

class Abuse {
 public:
  Abuse(const AbuseOptions& options, ServerProcess& server) : options_(options), server_(server) {}

  bool run() {
    std::vector<std::thread> threads;
    for (std::int64_t i = 0; i < options_.attackers; ++i)
      threads.emplace_back(
          [this, i] { attack(static_cast<std::uint64_t>(options_.seed * 1000 + i)); });
    threads.emplace_back([this] { gather_crowds(); });
    for (int i = 0; i < 2; ++i) threads.emplace_back([this, i] { ask(i); });
    for (double left = options_.seconds; left > 0 && server_.is_running(); left -= 0.1) {
      peak_ = std::max(peak_, server_.rss_mib());
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    ended_ = true;
    for (std::thread& thread : threads) thread.join();
    check_rest();
    report();
    return failures_.empty();
  }

 private:
  void fail(const std::string& what) {
    const std::scoped_lock lock(mutex_);
    ++failures_[what];
  }

  void attack(std::uint64_t seed) {
    Attacker attacker(server_.port(), seed, [this](const std::string& what) { fail(what); });
    while (!ended_) {
      try {
        attacker.attack();
        ++attacks_;
      } catch (const std::exception&) {  // no connection: the crowd took the last one
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    }
  }

  /// Thousands of connections that do nothing, dropped all at once.
  void gather_crowds() {
    while (!ended_) {
      std::vector<std::unique_ptr<Client>> crowd;
      try {
        for (std::int64_t i = 0; i < options_.crowd && !ended_; ++i)
          crowd.push_back(std::make_unique<Client>(server_.port()));
      } catch (const std::exception&) {
      }
      most_ = std::max(most_, crowd.size());
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      for (std::size_t i = 0; i < crowd.size(); i += 2) crowd[i]->reset();
    }
  }

  /// A normal client: it asks again after a 503 or a lost connection, and wants the right value.
  void ask(int number) {
    std::unique_ptr<Client> client;
    for (std::int64_t turn = 0; !ended_; ++turn) {
      const std::string text = cat("normal ", number, " ", turn);
      const double start = monotonic_seconds();
      for (bool answered = false; !answered;) {
        if (monotonic_seconds() - start > options_.patience)
          return fail(cat("a normal request had no reply within ", options_.patience, " s"));
        try {
          if (!client) client = std::make_unique<Client>(server_.port());
          client->send(Attacker::query(text));
          const Answer answer = client->receive(options_.patience);
          answered = answer.status == 200;
          if (answered && answer.json()["rewards"][0] != static_cast<double>(text.size()))
            fail("a normal request got the value of another one");
          if (!answered && answer.status != 503 && answer.status != 0)
            fail(cat("a normal request got status ", answer.status));
          if (!answered) {
            ++retries_;
            client.reset();
          }
        } catch (const std::exception&) {
          ++retries_;
          client.reset();
        }
        if (!answered) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      slowest_ = std::max(slowest_.load(), monotonic_seconds() - start);
      ++normal_;
    }
  }

  double metric(const std::string& name) const {
    Client client(server_.port());
    std::istringstream text(client.request("GET", "/metrics").body);
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with(name + " ")) return std::stod(line.substr(name.size()));
    }
    return -1;
  }

  /// Nothing may be left once the time-outs have passed.
  void check_rest() {
    if (!server_.is_running()) return fail("the server died: " + server_.contents());
    double connections = 0;
    for (int i = 0; i < 300; ++i) {
      connections = metric("plumb_connections");
      if (connections == 1) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    if (connections != 1) fail(cat(connections - 1, " connections are stuck"));
    if (metric("plumb_queue_depth") != 0 || metric("plumb_queue_tokens") != 0)
      fail("requests or tokens are stuck in the queue");
    if (normal_ == 0) fail("no normal request was answered");
    if (peak_ > static_cast<double>(options_.rss_mb)) fail(cat("memory grew to ", peak_, " MiB"));
    end_rss_ = server_.rss_mib();
    if (const int code = server_.stop(30); code != 0)
      fail(cat("the server ended with ", code, ": ", server_.contents()));
  }

  void report() const {
    std::cout << attacks_ << " attacks, up to " << most_ << " idle connections at once\n"
              << normal_ << " normal requests answered, slowest " << slowest_ << " s, " << retries_
              << " asked again\nmemory: peak " << peak_ << " MiB, at the end " << end_rss_
              << " MiB\n";
    for (const auto& [what, times] : failures_)
      std::cout << "FAILED (" << times << " times): " << what << "\n";
    std::cout << (failures_.empty() ? "sound\n" : "NOT SOUND\n");
  }

  const AbuseOptions& options_;
  ServerProcess& server_;
  std::atomic<bool> ended_{false};
  std::atomic<std::int64_t> attacks_{0}, normal_{0}, retries_{0};
  std::atomic<double> slowest_{0};
  std::size_t most_ = 0;
  double peak_ = 0, end_rss_ = 0;
  std::mutex mutex_;
  std::map<std::string, std::int64_t> failures_;
};

}  // namespace
}  // namespace plumb::test

int main(int argc, char** argv) {
  using namespace plumb;
  try {
    Config config(declared<test::AbuseOptions>(""));
    config.load_command_line({argv + 1, argv + argc});
    const auto options = config.values().read<test::AbuseOptions>("");
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    const test::TempDir dir;
    test::ServerProcess server(options.server, dir / "log");
    return test::Abuse(options, server).run() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
