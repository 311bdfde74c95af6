#include <set>
#include <thread>

#include "service/compute_queue.hpp"
#include "service/fake_models.hpp"
#include "service/score_cache.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::service;

namespace {

struct SilentExchange final : Exchange {
  void reply(Reply) override {}
  void send_event(std::string) override {}
  void end_stream() override {}
  void on_io_thread(std::function<void()> task) override { task(); }
};

std::shared_ptr<ScoreJob> job_of(const std::vector<std::int64_t>& costs) {
  static const auto models = test::fake_models({});
  auto job = std::make_shared<ScoreJob>();
  job->models = models;
  job->modules = {&models->modules[0]};
  for (const std::int64_t cost : costs) job->items.emplace_back().cost = cost;
  job->scores.resize(costs.size());
  job->remaining = costs.size();
  job->exchange = std::make_shared<SilentExchange>();
  return job;
}

}  // namespace

TEST_CASE("admission is all or nothing, by tokens and by requests", "[service][unit]") {
  ComputeQueue queue({100, 3});
  CHECK(queue.reserve(60));
  CHECK_FALSE(queue.reserve(41));
  CHECK(queue.tokens() == 60);
  CHECK(queue.reserve(40));
  CHECK_FALSE(queue.reserve(1));
  CHECK(queue.is_full());
  queue.release(60, 1);
  CHECK_FALSE(queue.is_full());
  CHECK(queue.reserve(1));
  CHECK(queue.reserve(1));
  CHECK_FALSE(queue.reserve(1));
  CHECK(queue.requests() == 3);
  queue.release(42, 3);
  CHECK(queue.reserve(1'000'000));  // beyond the budget, but alone
  CHECK_FALSE(queue.reserve(1));
}

TEST_CASE("a batch takes what waits up to its budget, in order of arrival", "[service][unit]") {
  ComputeQueue queue({1000, 100});
  const auto first = job_of({10, 20}), second = job_of({30}), third = job_of({500});
  for (const auto& job : {first, second, third}) queue.push(job);
  auto batch = queue.take(45, 0);
  REQUIRE(batch.works.size() == 2);
  CHECK(batch.works[0].job == first);
  CHECK(batch.works[1].item == 1);
  batch = queue.take(45, 0);
  REQUIRE(batch.works.size() == 1);
  CHECK(batch.works[0].job == second);
  batch = queue.take(45, 0);  // larger than a batch: still taken
  REQUIRE(batch.works.size() == 1);
  CHECK(batch.works[0].job == third);
}

TEST_CASE("work of a client that went away is handed out as dropped", "[service][unit]") {
  ComputeQueue queue({1000, 100});
  const auto gone = job_of({10, 10}), here = job_of({10});
  queue.push(gone);
  queue.push(here);
  gone->exchange->abandoned = true;
  const auto batch = queue.take(100, 0);
  CHECK(batch.dropped.size() == 2);
  REQUIRE(batch.works.size() == 1);
  CHECK(batch.works[0].job == here);
}

TEST_CASE("completions and scores take turns, and close() ends a waiting take()",
          "[service][unit]") {
  ComputeQueue queue({1000, 100});
  queue.push(job_of({10}));
  queue.push(job_of({10}));
  queue.push(std::make_shared<TextJob>());
  queue.push(std::make_shared<TextJob>());
  CHECK(queue.take(10, 0).works.size() == 1);
  CHECK(queue.take(10, 0).text != nullptr);
  CHECK(queue.take(10, 0).works.size() == 1);
  CHECK(queue.take(10, 0).text != nullptr);
  std::thread closer([&] { queue.close(); });
  CHECK(queue.take(10, 0).closed);
  closer.join();
  CHECK_FALSE(queue.reserve(1));
}

TEST_CASE("the cache keeps the newest scores within its memory", "[service][unit]") {
  ScoreCache cache(1000);
  const auto key = [](int i) {
    RewardSample sample;
    sample.response = std::to_string(i);
    return cache_key("f", sample);
  };
  for (int i = 0; i < 3; ++i) cache.add(key(i), std::make_shared<Score>());
  CHECK(cache.find(key(0)) != nullptr);  // now the newest
  cache.add(key(3), std::make_shared<Score>());
  CHECK(cache.find(key(0)) != nullptr);
  CHECK(cache.find(key(1)) == nullptr);
  CHECK(cache.bytes() <= 1000);
  ScoreCache off(0);
  off.add(key(0), std::make_shared<Score>());
  CHECK(off.find(key(0)) == nullptr);
}

TEST_CASE("everything that a module may look at is part of the cache key", "[service][unit]") {
  RewardSample base;
  base.messages = {{"user", "ab"}};
  base.response = "c";
  std::vector<RewardSample> others(8, base);
  others[0].messages = {{"user", "a"}};
  others[0].response = "bc";
  others[1].messages[0].role = "system";
  others[2].messages.push_back({"user", ""});
  others[3].finished = false;
  others[4].reference = "";
  others[5].kind = "open";
  others[6].response_ids = {1};
  others[7].prompt_ids = {1};
  std::set<ScoreCache::Key> keys{cache_key("f", base), cache_key("g", base)};
  for (const RewardSample& other : others) keys.insert(cache_key("f", other));
  CHECK(keys.size() == 10);
}
