#include <future>

#include "service/fake_policy.hpp"
#include "service/test_server.hpp"

#include "support/catch.hpp"

/// Completions of several clients at once. FakePolicy's gate holds a decoding step, so that others
/// join while it runs.

using namespace plumb;
using nlohmann::json;
using test::Answer;
using test::Client;
using test::ReadyServer;

namespace {

struct Served {
  std::shared_ptr<test::FakePolicy> policy = std::make_shared<test::FakePolicy>();
  std::shared_ptr<test::Gate> gate = std::make_shared<test::Gate>();
  ReadyServer server;

  Served()
      : server(service::ServeOptions{}, test::FakeOptions{}, std::vector<std::string>{},
               [this]() -> std::shared_ptr<const service::ServedModels> {
                 auto models = test::fake_models({});
                 models->serve_policy(policy);
                 return models;
               }) {
    policy->gate = gate;
  }
  ~Served() { gate->closed = false; }

  std::future<Answer> asks(json body) {
    return std::async(std::launch::async, [this, body = std::move(body)] {
      return Client(server.port()).post("/v1/completions", body);
    });
  }
  /// Waits until the first step stands at the gate and `count` requests were admitted.
  void wait_for(std::int64_t count) {
    while (gate->waiting == 0 || server.service().waiting_requests() < count)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  std::int64_t rows() const { return policy->most_rows; }
};

std::string text_of(const Answer& answer) {
  INFO(answer.body);
  REQUIRE(answer.status == 200);
  return answer.json()["choices"][0]["text"];
}

}  // namespace

TEST_CASE("completions of several clients are sampled together, each by its own options",
          "[service][unit]") {
  Served served;
  auto first = served.asks({{"prompt", "x"}, {"max_tokens", 5}});
  served.wait_for(1);
  auto second = served.asks({{"prompt", "y"}, {"max_tokens", 2}, {"n", 2}});
  auto third = served.asks({{"prompt", {"z", "w"}}, {"max_tokens", 9}, {"echo", true}});
  auto empty = served.asks({{"prompt", "hey"}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 0}});
  served.wait_for(4);
  served.gate->closed = false;
  CHECK(text_of(first.get()) == "abcde");
  const json pair = second.get().json();
  CHECK(pair["choices"][1]["text"] == "ab");
  CHECK(pair["usage"]["completion_tokens"] == 4);
  const json echoed = third.get().json();
  CHECK(echoed["choices"][0]["text"] == "zabcdefghi");
  CHECK(echoed["choices"][1]["text"] == "wabcdefghi");
  CHECK(text_of(empty.get()) == "hey");
  CHECK(served.rows() == 5);
  CHECK(served.server.service().waiting_requests() == 0);
  CHECK(served.server.service().waiting_tokens() == 0);
}

TEST_CASE("scores are answered between the tokens of completions", "[service][unit]") {
  Served served;
  auto text = served.asks({{"prompt", "x"}, {"max_tokens", 3}});
  served.wait_for(1);
  auto score = std::async(std::launch::async, [&] {
    return Client(served.server.port()).post("/classify", {{"input", "hello"}});
  });
  served.wait_for(2);
  const Answer before = Client(served.server.port()).request("GET", "/metrics");
  CHECK(before.body.find("plumb_completions_running 1") != std::string::npos);
  served.gate->closed = false;
  CHECK(score.get().json()["data"][0]["probs"][0] == 5.0);
  CHECK(text_of(text.get()) == "abc");
  const Answer after = Client(served.server.port()).request("GET", "/metrics");
  CHECK(after.body.find("plumb_completions_running 0") != std::string::npos);
  CHECK(after.body.find("plumb_generated_tokens_total 3") != std::string::npos);
}

TEST_CASE("a client that leaves ends its own rows alone", "[service][unit]") {
  Served served;
  Client leaver(served.server.port());
  const std::string body = R"({"prompt":"x","max_tokens":4000,"n":3,"stream":true})";
  leaver.send(
      "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body);
  served.wait_for(1);
  auto stays = served.asks({{"prompt", "x"}, {"max_tokens", 4}, {"n", 2}});
  served.wait_for(2);
  leaver.reset();
  served.gate->closed = false;
  CHECK(text_of(stays.get()) == "abcd");
  for (int i = 0; i < 500 && served.server.service().waiting_requests() > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(served.server.service().waiting_requests() == 0);
  CHECK(served.server.service().waiting_tokens() == 0);
}

TEST_CASE("a prompt that the model does not take fails alone", "[service][unit]") {
  Served served;
  auto first = served.asks({{"prompt", "x"}, {"max_tokens", 3}});
  served.wait_for(1);
  auto strange = served.asks({{"prompt", {{97}, {256}}}, {"max_tokens", 3}});
  auto third = served.asks({{"prompt", "x"}, {"max_tokens", 2}});
  served.wait_for(3);
  served.gate->closed = false;
  const Answer refused = strange.get();
  CHECK(refused.status == 400);
  CHECK(refused.body.find("id 256 is not known") != std::string::npos);
  CHECK(text_of(first.get()) == "abc");
  CHECK(text_of(third.get()) == "ab");
  CHECK(served.server.service().waiting_requests() == 0);
}

TEST_CASE("a model that breaks fails all that it samples, and goes on with the next",
          "[service][unit]") {
  Served served;
  auto first = served.asks({{"prompt", "x"}, {"max_tokens", 5}});
  served.wait_for(1);
  auto breaks = served.asks({{"prompt", "x"}, {"temperature", 99}});
  auto streamed = served.asks({{"prompt", "x"}, {"max_tokens", 5}, {"stream", true}});
  served.wait_for(3);
  served.gate->closed = false;
  for (auto* answer : {&first, &breaks}) {
    const Answer failed = answer->get();
    CHECK(failed.status == 500);
    CHECK(failed.body.find("the policy failed: a NaN") != std::string::npos);
  }
  const Answer events = streamed.get();
  CHECK(events.body.find("the policy failed: a NaN") != std::string::npos);
  CHECK(events.body.ends_with("data: [DONE]\n\n"));
  CHECK(text_of(served.asks({{"prompt", "x"}, {"max_tokens", 2}}).get()) == "ab");
  CHECK(served.server.service().waiting_requests() == 0);
}

TEST_CASE("a completion that begins after a reload runs on the new model", "[service][unit]") {
  Served served;
  const auto old = served.policy;
  auto before = served.asks({{"prompt", "x"}, {"max_tokens", 3}});
  served.wait_for(1);
  served.policy = std::make_shared<test::FakePolicy>();
  CHECK(Client(served.server.port()).request("POST", "/v1/reload").status == 200);
  auto after = served.asks({{"prompt", "x"}, {"max_tokens", 2}});
  served.wait_for(2);
  served.gate->closed = false;
  CHECK(text_of(before.get()) == "abc");
  CHECK(text_of(after.get()) == "ab");
  CHECK(old->most_rows == 1);
  CHECK(served.policy->most_rows == 1);
}
