#include <cmath>

#include "service/fake_policy.hpp"
#include "service/test_server.hpp"

#include "support/catch.hpp"

/// What the policy says about given texts: log-probs in /v1/rewards, SGLang's label tokens. Values
/// follow FakePolicy::logprobs: -(id mod 10) - 1.

using namespace plumb;
using nlohmann::json;
using test::Answer;
using test::ReadyServer;

namespace {

/// Remembers the modules whose scores it was given.
struct NamesSink final : service::ScoreSink {
  explicit NamesSink(std::vector<std::string>& names_) : names(names_) {}
  void add(std::span<const service::ScoreRecord> records) override {
    for (const service::ScoreRecord& record : records) names.push_back(record.module->name);
  }
  void recall(const service::ServedModels&, service::ScoreCache&) override {}
  std::vector<std::string>& names;
};

service::Service::Loader with_policy(bool with_modules = true) {
  return [=]() -> std::shared_ptr<const service::ServedModels> {
    auto models = test::fake_models({});
    if (!with_modules) models->modules.clear();
    models->serve_policy(std::make_shared<test::FakePolicy>());
    return models;
  };
}

ReadyServer& server() {
  static ReadyServer shared(service::ServeOptions{}, test::FakeOptions{},
                            std::vector<std::string>{}, with_policy());
  return shared;
}

json ok(const json& body) { return server().ok("/v1/score", body); }

}  // namespace

TEST_CASE("/v1/rewards: log-probs and ids of the response's tokens beside the scores",
          "[service][unit]") {
  std::vector<std::string> stored;
  ReadyServer own(service::ServeOptions{}, test::FakeOptions{}, std::vector<std::string>{},
                  with_policy(), std::make_unique<NamesSink>(stored));
  const json body{{"modules", {"other", "fake"}},
                  {"samples",
                   {{{"prompt", "p"}, {"response", "ab"}},
                    {{"prompt", "p"}, {"response_token_ids", {99, 256}}},
                    {{"prompt", "p"}, {"response", ""}},
                    {{"prompt", "p"}, {"response", "FAIL"}}}},
                  {"return", {"logprobs", "token_rewards"}}};
  const json reply = own.ok("/v1/rewards", body);
  const json& data = reply["data"];
  CHECK(data[0]["logprobs"] == json{-8.0, -9.0});
  CHECK(data[0]["response_token_ids"] == json{97, 98});
  CHECK(data[0]["score"] == Approx(1001.99));
  CHECK(data[0]["modules"].size() == 2);
  CHECK(data[0]["modules"]["fake"]["token_rewards"] == json{1.0, 1.0});
  CHECK(data[1]["logprobs"] == json{-10.0, -7.0});
  CHECK(data[1]["response_token_ids"] == json{99, 256});
  CHECK(data[2]["score"] == Approx(999.99));
  CHECK(data[2]["logprobs"].is_null());
  CHECK(data[2]["response_token_ids"].is_null());
  CHECK(data[2]["error"] == "the response has no tokens");
  CHECK(data[3]["score"].is_null());
  CHECK(data[3]["logprobs"].size() == 4);
  CHECK(data[3]["error"] == "no score for this one");
  // Again, from the cache.
  CHECK(own.ok("/v1/rewards", body)["data"][1] == data[1]);
  own.stop();
  CHECK(std::ranges::count(stored, "logprobs") == 0);
  CHECK(std::ranges::count(stored, "fake") > 0);
}

TEST_CASE("/v1/rewards: log-probs alone where no module is loaded, and none without a policy",
          "[service][unit]") {
  const json body{{"samples", {{{"prompt", "p"}, {"response", "ab"}}}}, {"return", {"logprobs"}}};
  ReadyServer alone(service::ServeOptions{}, test::FakeOptions{}, std::vector<std::string>{},
                    with_policy(false));
  const json row = alone.ok("/v1/rewards", body)["data"][0];
  CHECK(row["logprobs"] == json{-8.0, -9.0});
  CHECK(row["score"].is_null());
  CHECK(row["modules"] == json::object());
  CHECK_FALSE(row.contains("error"));

  ReadyServer without;
  const Answer refused = without.post("/v1/rewards", body);
  CHECK(refused.status == 400);
  CHECK(refused.json()["error"]["param"] == "return");
  CHECK(refused.body.find("set serve.policy") != std::string::npos);
}

TEST_CASE("/v1/score with label_token_ids: probabilities of the labels after query and item",
          "[service][unit]") {
  const json reply =
      ok({{"query", "ab"}, {"items", {"c", "d"}}, {"label_token_ids", {97, 98, 97}}});
  CHECK(reply["object"] == "scoring");
  REQUIRE(reply["scores"].size() == 2);
  for (const json& row : reply["scores"]) {
    REQUIRE(row.size() == 3);
    CHECK(row[0] == Approx(std::exp(-8)));
    CHECK(row[1] == Approx(std::exp(-9)));
    CHECK(row[2] == row[0]);
  }
  const json among = ok({{"query", "ab"},
                         {"items", "c"},
                         {"label_token_ids", {97, 98}},
                         {"apply_softmax", true}})["scores"][0];
  CHECK(among[0] == Approx(1 / (1 + std::exp(-1))));
  CHECK(among[1] == Approx(1 / (1 + std::exp(1))));
  // FakePolicy gives one nat less behind a "!".
  const json text{{"query", "ab"}, {"items", {"!"}}, {"label_token_ids", {97}}};
  json turned = text;
  turned["item_first"] = true;
  CHECK(ok(text)["scores"][0][0] == Approx(std::exp(-8)));
  CHECK(ok(turned)["scores"][0][0] == Approx(std::exp(-9)));
  json ids{{"query", {97, 98}}, {"items", {{33}}}, {"label_token_ids", {97}}};
  CHECK(ok(ids)["scores"][0][0] == Approx(std::exp(-8)));
  ids["item_first"] = true;
  CHECK(ok(ids)["scores"][0][0] == Approx(std::exp(-9)));
}

TEST_CASE("bad label_token_ids are refused with the field at fault", "[service][unit]") {
  const auto param = [](ReadyServer& asked, const json& more) {
    json body{{"query", "ab"}, {"items", {"c"}}, {"label_token_ids", {97}}};
    body.update(more);
    const Answer answer = asked.post("/v1/score", body);
    INFO(answer.body);
    CHECK(answer.status == 400);
    CHECK(answer.json()["object"] == "error");
    return answer.json()["param"];
  };
  CHECK(param(server(), {{"label_token_ids", {257}}}) == "label_token_ids");
  CHECK(param(server(), {{"label_token_ids", {-1}}}) == "label_token_ids");
  CHECK(param(server(), {{"label_token_ids", json::array()}}) == "label_token_ids");
  CHECK(param(server(), {{"query", {97}}}) == "items[0]");
  CHECK(param(server(), {{"items", {{97}}}}) == "items[0]");
  CHECK(param(server(), {{"label_token_ids", nullptr}, {"apply_softmax", true}}) ==
        "apply_softmax");
  CHECK(param(server(), {{"label_token_ids", nullptr}, {"item_first", true}}) == "item_first");
  ReadyServer without;
  CHECK(param(without, json::object()) == "label_token_ids");
  const Answer nothing =
      server().post("/v1/score", {{"query", ""}, {"items", {""}}, {"label_token_ids", {97}}});
  CHECK(nothing.status == 422);
  CHECK(server()
            .post("/v1/score",
                  {{"query", std::string(5000, 'x')}, {"items", {"c"}}, {"label_token_ids", {97}}})
            .status == 422);
}
