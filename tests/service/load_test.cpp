#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "service/server_process.hpp"

#include "support/catch.hpp"

/// Many clients at once, against a server process with fake modules.

using namespace plumb;
using nlohmann::json;
using test::Answer;
using test::Client;
using test::ServerProcess;
using Clock = std::chrono::steady_clock;

namespace {

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string request_text(const std::string& response) {
  const std::string body = json{{"query", {response}}}.dump();
  return "POST /get_reward HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// What one group of clients saw.
struct Outcome {
  std::atomic<std::int64_t> good{0}, refused{0}, wrong{0};
  std::vector<double> refusal_seconds;
  std::mutex mutex;

  double refusal_quantile(double share) {
    std::ranges::sort(refusal_seconds);
    if (refusal_seconds.empty()) return 0;
    return refusal_seconds[static_cast<std::size_t>(
        share * static_cast<double>(refusal_seconds.size() - 1))];
  }
};

/// `clients` closed loops of single texts, all different, for some seconds.
void run_clients(std::uint16_t port, int clients, double seconds, Outcome& outcome) {
  std::vector<std::thread> threads;
  for (int c = 0; c < clients; ++c) {
    threads.emplace_back([&, c] {
      Client client(port);
      std::vector<double> refusals;
      const Clock::time_point begin = Clock::now();
      for (int i = 0; seconds_since(begin) < seconds; ++i) {
        const std::string text = std::to_string(c) + "/" + std::to_string(i) +
                                 std::string(static_cast<std::size_t>(i % 40), 'x');
        const Clock::time_point sent = Clock::now();
        client.send(request_text(text));
        const Answer answer = client.receive();
        if (answer.status == 200 &&
            answer.json()["rewards"] == json::array({static_cast<double>(text.size())})) {
          ++outcome.good;
        } else if (answer.status == 503 && answer.headers.contains("retry-after")) {
          ++outcome.refused;
          refusals.push_back(seconds_since(sent));
        } else {
          ++outcome.wrong;
        }
      }
      const std::scoped_lock lock(outcome.mutex);
      outcome.refusal_seconds.insert(outcome.refusal_seconds.end(), refusals.begin(),
                                     refusals.end());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("two thousand connections at once all get their reply", "[service][slow]") {
  ServerProcess server({"--fake.ms_per_batch=1"});
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 2000; ++i) clients.push_back(std::make_unique<Client>(server.port()));
  for (std::size_t i = 0; i < clients.size(); ++i)
    clients[i]->send(request_text(std::string(i % 300, 'x') + std::to_string(i)));
  std::size_t good = 0;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const double expected = static_cast<double>(i % 300 + std::to_string(i).size());
    const Answer answer = clients[i]->receive(60);
    good += answer.status == 200 && answer.json()["rewards"][0] == expected ? 1 : 0;
  }
  CHECK(good == clients.size());
  clients.clear();
  CHECK(server.stop() == 0);
}

TEST_CASE("without descriptors the server waits and goes on", "[service][slow]") {
  ServerProcess server({}, 40);
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 80; ++i) clients.push_back(std::make_unique<Client>(server.port()));
  CHECK(clients[0]->request("GET", "/health").status == 200);  // accepted early: served
  for (auto& client : clients) client->send(request_text("abc"));
  std::size_t good = 0;
  for (auto& client : clients) {  // each that leaves makes room for one that waits
    good += client->receive(10).status == 200 ? 1 : 0;
    client->close();
  }
  CHECK(good == clients.size());
  CHECK(server.metric("plumb_accept_errors_total") > 0);
  CHECK(server.stop() == 0);
}

TEST_CASE("64 closed loops keep the compute thread busy and lose nothing", "[service][slow]") {
  ServerProcess server({"--fake.ms_per_batch=1", "--fake.ms_per_text=0.5"});
  Outcome outcome;
  const double busy_before = server.metric("plumb_compute_busy_seconds_total");
  const Clock::time_point begin = Clock::now();
  run_clients(server.port(), 64, 4, outcome);
  const double share =
      (server.metric("plumb_compute_busy_seconds_total") - busy_before) / seconds_since(begin);
  CHECK(share > 0.9);
  CHECK(outcome.wrong == 0);
  CHECK(outcome.refused == 0);
  CHECK(server.metric("plumb_scored_total{module=\"fake\"}") == static_cast<double>(outcome.good));
  CHECK(server.metric("plumb_queue_depth") == 0);
  CHECK(server.stop() == 0);
}

TEST_CASE("far beyond its capacity the server refuses fast and recovers at once",
          "[service][slow]") {
  // 200 texts a second (two modules of 2.5 ms), at most 16 requests admitted: 80 ms of queue.
  ServerProcess server(
      {"--fake.ms_per_text=2.5", "--serve.max_queue_requests=16", "--serve.max_batch_tokens=1"});
  Outcome outcome;
  run_clients(server.port(), 64, 5, outcome);
  CHECK(outcome.wrong == 0);
  CHECK(outcome.good > 500);
  CHECK(outcome.refused > 20 * outcome.good);
  CHECK(outcome.refusal_quantile(0.99) < 0.1);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(server.metric("plumb_queue_depth") == 0);
  Outcome after;
  run_clients(server.port(), 1, 1, after);
  CHECK(after.good > 100);
  CHECK(after.refused == 0);
  CHECK(server.stop() == 0);
}

TEST_CASE("SIGTERM ends in-flight work well; SIGHUP reloads under load", "[service][slow]") {
  ServerProcess server({"--fake.ms_per_text=1"});
  std::atomic<bool> stop{false};
  std::thread reloads([&] {
    while (!stop) {
      server.signal(SIGHUP);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  Outcome outcome;
  run_clients(server.port(), 16, 2, outcome);
  stop = true;
  reloads.join();
  CHECK(outcome.wrong == 0);
  CHECK(outcome.refused == 0);
  CHECK(server.metric("plumb_reloads_total{result=\"ok\"}") > 5);
  std::vector<std::unique_ptr<Client>> last;
  for (int i = 0; i < 20; ++i) {
    last.push_back(std::make_unique<Client>(server.port()));
    last.back()->send(request_text("end" + std::to_string(i)));
  }
  while (server.metric("plumb_queue_depth") == 0 &&
         server.metric("plumb_requests_total{route=\"/get_reward\",code=\"200\"}") <
             static_cast<double>(outcome.good + 1)) {
  }
  CHECK(server.stop() == 0);
  std::size_t answered = 0;
  for (auto& client : last) answered += client->receive(1).status == 200 ? 1 : 0;
  CHECK(answered > 0);
}
