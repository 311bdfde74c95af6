#include "service/test_server.hpp"

#include "support/catch.hpp"

/// Scores kept beyond the process: recalled at the start and at every reload.

using namespace plumb;
using nlohmann::json;
using test::Client;
using test::ReadyServer;

namespace {

/// Knows one score of the module "fake", and counts.
struct OneScore final : service::ScoreSink {
  explicit OneScore(std::atomic<int>& recalls_, std::atomic<int>& added_)
      : recalls(recalls_), added(added_) {}
  void add(std::span<const service::ScoreRecord> records) override {
    added += static_cast<int>(records.size());
  }
  void recall(const service::ServedModels& models, service::ScoreCache& cache) override {
    RewardSample sample;
    sample.messages = {{"user", "p"}};
    sample.response = "kept " + std::to_string(++recalls);
    Score score;
    score.value = 77;
    cache.add(service::cache_key(models.modules.front().fingerprint, sample),
              std::make_shared<const Score>(score));
  }
  std::atomic<int>&recalls, &added;
};

}  // namespace

TEST_CASE("what is stored is recalled at the start and at a reload", "[service][unit]") {
  std::atomic<int> recalls{0}, added{0};
  ReadyServer server(service::ServeOptions{}, test::FakeOptions{}, std::vector<std::string>{},
                     service::Service::Loader{}, std::make_unique<OneScore>(recalls, added));
  const auto score = [&](const std::string& response) {
    return server.ok(
        "/v1/rewards",
        {{"samples", {{{"prompt", "p"}, {"response", response}}}}})["data"][0]["score"];
  };
  CHECK(recalls == 1);
  CHECK(score("kept 1") == 77);
  CHECK(added == 0);
  CHECK(Client(server.port()).request("POST", "/v1/reload").status == 200);
  CHECK(recalls == 2);
  CHECK(score("kept 2") == 77);
  CHECK(added == 0);
  CHECK(score("kept 3") != 77);
  server.stop();
  CHECK(added == 1);
}
