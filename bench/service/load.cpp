// Load on a reward server that speaks OpenRLHF's protocol: one text a request, every reply checked.
//
//   plumb_bench_service --url http://localhost:8000/get_reward [--clients 64] [--seconds 10]
//                       [--texts 256] [--words 60] [--scores FILE] [--expect FILE] [--insist]
//
// First each text is scored alone; then `clients` connections each send request after request and
// compare every reply with the score of its text, so that a lost, doubled or swapped reply shows.
// Without --insist a refusal (503, 429) is followed by a pause of 100 ms, as a polite client would;
// with it the client asks again at once: an overload. --scores writes the texts' scores, --expect
// compares them with another server's file. Prints one JSON line.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "config/config.hpp"
#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/files.hpp"
#include "net/http_client.hpp"

namespace plumb {
namespace {

using nlohmann::json;

struct LoadOptions {
  std::string url = "http://localhost:8000/get_reward", scores, expect;
  std::int64_t clients = 64, texts = 256, words = 60;
  double seconds = 10, tolerance = 1e-4;
  bool insist = false;
  static void describe(auto& self, auto&& field) {
    field("url", self.url, "the server");
    field("clients", self.clients, Range{1, 10000}, "connections");
    field("seconds", self.seconds, Range{0.1, 1e5}, "how long");
    field("texts", self.texts, Range{1, 1e6}, "distinct texts");
    field("words", self.words, Range{1, 1e5}, "words of the longest response");
    field("scores", self.scores, "file for the score of each text");
    field("expect", self.expect, "file of such scores to compare with");
    field("tolerance", self.tolerance, Range{0, 1e9}, "difference that counts as equal");
    field("insist", self.insist, "no pause after a refusal");
  }
};

const char* const kWords[] = {"the",   "river", "small",  "answer", "because", "light", "bread",
                              "water", "slow",  "train",  "tree",   "reason",  "green", "house",
                              "often", "never", "number", "story",  "morning", "keeps", "cold",
                              "music", "after", "under",  "people", "clear",   "paper", "grows"};

std::string sentence(std::uint64_t seed, std::size_t words) {
  std::string text;
  for (std::size_t i = 0; i < words; ++i) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    text += (i > 0 ? " " : "") + std::string(kWords[(seed >> 33U) % std::size(kWords)]);
  }
  return text;
}

/// Bodies of requests: a prompt of 4 to 15 words, a response of up to `words`.
std::vector<std::string> bodies(const LoadOptions& options) {
  std::vector<std::string> out;
  for (std::int64_t i = 0; i < options.texts; ++i) {
    const auto n = static_cast<std::uint64_t>(i);
    const std::string prompt = sentence(2 * n + 1, 4 + n % 12) + "? ";
    const std::string response =
        sentence(2 * n + 2, 1 + (n * 37) % static_cast<std::uint64_t>(options.words));
    out.push_back(json{{"query", {prompt + response}}, {"prompts", {prompt}}}.dump());
  }
  return out;
}

double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

json latency_ms(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto ms = [&](double share) { return std::round(percentile(seconds, share) * 1e5) / 100; };
  return {{"p50", ms(0.5)}, {"p90", ms(0.9)}, {"p99", ms(0.99)}, {"max", ms(1)}};
}

/// A sum over the series of one metric of /metrics; nothing for servers without it.
std::optional<double> metric(const HttpUrl& url, const std::string& name) {
  HttpClient client(url, {});
  const HttpReply reply = client.get("/metrics", {});
  if (reply.status != 200) return std::nullopt;
  std::istringstream text(reply.body);
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with(name + " ")) return std::stod(line.substr(name.size()));
  }
  return std::nullopt;
}

class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options), url_(parse_http_url(options.url, "url")), bodies_(bodies(options)) {}

  json run() {
    measure_scores();
    const auto busy = metric(url_, "plumb_compute_busy_seconds_total");
    const auto idle = metric(url_, "plumb_compute_idle_seconds_total");
    const double start = monotonic_seconds();
    std::vector<std::thread> threads;
    for (std::int64_t i = 0; i < options_.clients; ++i)
      threads.emplace_back([this, i, start] { ask(static_cast<std::size_t>(i), start); });
    for (std::thread& thread : threads) thread.join();
    const double seconds = monotonic_seconds() - start;
    json out{{"url", options_.url},
             {"clients", options_.clients},
             {"seconds", seconds},
             {"answered", answered_.size()},
             {"requests_per_second", static_cast<double>(answered_.size()) / seconds},
             {"latency_ms", latency_ms(answered_)},
             {"wrong", wrong_},
             {"lost", lost_}};
    if (!refused_.empty()) {
      out["refused"] = refused_.size();
      out["refused_per_second"] = static_cast<double>(refused_.size()) / seconds;
      out["refusal_latency_ms"] = latency_ms(refused_);
    }
    if (!other_.empty()) out["other_status"] = other_;
    if (busy && idle) {
      const double more_busy = *metric(url_, "plumb_compute_busy_seconds_total") - *busy;
      const double more_idle = *metric(url_, "plumb_compute_idle_seconds_total") - *idle;
      out["compute_busy_share"] = more_busy / (more_busy + more_idle);
    }
    out["alone_ms"] = latency_ms(alone_);
    out["alone_after_ms"] = latency_ms(alone_again());
    if (!options_.expect.empty()) out["largest_difference"] = compare();
    return out;
  }

 private:
  double reward_of(const HttpReply& reply) const {
    const json body = json::parse(reply.body);
    if (body.at("rewards").size() != 1) throw DataError("not one reward");
    return body["rewards"][0].get<double>();
  }

  void measure_scores() {
    HttpClient client(url_, {});
    for (const std::string& body : bodies_) {
      const double start = monotonic_seconds();
      const HttpReply reply = client.post(url_.target, body, {});
      if (reply.status != 200) throw DataError(cat("status ", reply.status, ": ", reply.body));
      alone_.push_back(monotonic_seconds() - start);
      scores_.push_back(reward_of(reply));
    }
    if (!options_.scores.empty()) write_file_atomically(options_.scores, json(scores_).dump());
  }

  std::vector<double> alone_again() {
    HttpClient client(url_, {});
    std::vector<double> times;
    for (std::size_t i = 0; i < std::min<std::size_t>(50, bodies_.size()); ++i) {
      const double start = monotonic_seconds();
      const HttpReply reply = client.post(url_.target, bodies_[i], {});
      if (reply.status != 200) throw DataError(cat("no recovery: status ", reply.status));
      times.push_back(monotonic_seconds() - start);
    }
    return times;
  }

  double compare() const {
    const auto other = json::parse(read_file(options_.expect)).get<std::vector<double>>();
    if (other.size() != scores_.size()) throw DataError("another number of texts");
    double largest = 0;
    for (std::size_t i = 0; i < other.size(); ++i)
      largest = std::max(largest, std::abs(other[i] - scores_[i]));
    return largest;
  }

  void ask(std::size_t number, double start) {
    HttpClient client(url_, {});
    std::vector<double> answered, refused;
    std::int64_t wrong = 0, lost = 0;
    std::map<std::string, std::int64_t> other;
    for (std::size_t i = number * 7; monotonic_seconds() - start < options_.seconds; ++i) {
      const std::size_t text = i % bodies_.size();
      const double sent = monotonic_seconds();
      try {
        const HttpReply reply = client.post(url_.target, bodies_[text], {});
        const double took = monotonic_seconds() - sent;
        if (reply.status == 200) {
          answered.push_back(took);
          if (!(std::abs(reward_of(reply) - scores_[text]) <= options_.tolerance)) ++wrong;
        } else if (reply.status == 503 || reply.status == 429) {
          refused.push_back(took);
          if (!options_.insist) std::this_thread::sleep_for(std::chrono::milliseconds(100));
        } else {
          ++other[std::to_string(reply.status)];
        }
      } catch (const std::exception&) {
        ++lost;
      }
    }
    const std::scoped_lock lock(mutex_);
    answered_.insert(answered_.end(), answered.begin(), answered.end());
    refused_.insert(refused_.end(), refused.begin(), refused.end());
    wrong_ += wrong;
    lost_ += lost;
    for (const auto& [status, count] : other) other_[status] += count;
  }

  const LoadOptions& options_;
  HttpUrl url_;
  std::vector<std::string> bodies_;
  std::vector<double> scores_, alone_;
  std::mutex mutex_;
  std::vector<double> answered_, refused_;
  std::map<std::string, std::int64_t> other_;
  std::int64_t wrong_ = 0, lost_ = 0;
};

}  // namespace
}  // namespace plumb

int main(int argc, char** argv) {
  using namespace plumb;
  try {
    Config config(declared<LoadOptions>(""));
    config.load_command_line({argv + 1, argv + argc});
    const auto options = config.values().read<LoadOptions>("");
    std::cout << Load(options).run().dump() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
