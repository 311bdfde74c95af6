#include "rewards/remote.hpp"

#include <atomic>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/log.hpp"
#include "support/fake_http_server.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using nlohmann::json;
using test::FakeHttpServer;
using test::HttpAnswer;
using test::HttpRequestSeen;

namespace {

const char* const kModels =
    R"({"data":[{"id":"plumb"},{"id":"r3","reward":{"fingerprint":"f1","unit":"nats"}},
        {"id":"length","reward":{"fingerprint":"f2","unit":"ratio"}}]})";

RemoteOptions options_for(const FakeHttpServer& server) {
  RemoteOptions options;
  options.url = server.url();
  options.backoff = 0.001;
  options.attempts = 3;
  options.timeout = 5;
  return options;
}

std::vector<RewardSample> responses(const std::vector<std::string>& texts) {
  std::vector<RewardSample> samples;
  for (const std::string& text : texts) {
    RewardSample& sample = samples.emplace_back();
    sample.messages = {{"user", "prompt"}};
    sample.response = text;
  }
  return samples;
}

/// A plumb server: score = length of the response; "bad" has none, "poison" spoils the request.
HttpAnswer native(const HttpRequestSeen& request) {
  if (request.method == "GET") return {200, kModels};
  const json body = json::parse(request.body);
  json data = json::array();
  const json& samples = body["samples"];
  for (const json& sample : samples) {
    const std::string text = sample["response"];
    if (text == "poison") return {422, R"({"error":{"message":"a poisoned text"}})"};
    json row{{"index", data.size()}, {"score", nullptr}, {"error", "it is bad"}};
    if (text != "bad") {
      row = {{"index", data.size()},
             {"score", text.size()},
             {"modules",
              {{"r3", {{"raw", 0.5}, {"components", {{"words", 2}, {"branch", "open"}}}}}}}};
    }
    data.push_back(row);
  }
  return {200, json{{"data", data}}.dump()};
}

/// The handler's answers to POST only; GET tells the modules.
FakeHttpServer::Handler posts(std::function<HttpAnswer(const HttpRequestSeen&)> handler) {
  return [handler = std::move(handler)](const HttpRequestSeen& request) {
    return request.method == "GET" ? HttpAnswer{200, kModels} : handler(request);
  };
}

std::string error_of_one(const RemoteReward& reward) {
  const Score score = reward.score(responses({"x"})).front();
  CHECK_FALSE(score.value);
  return score.error;
}

template <class Error>
std::string refusal_of(const RemoteOptions& options) {
  try {
    const RemoteReward reward(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "not refused";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("remote: scores, components and errors of a plumb server, in batches",
          "[rewards][remote][unit]") {
  FakeHttpServer server(native);
  RemoteOptions options = options_for(server);
  options.batch_size = 2;
  const RemoteReward reward(options);
  CHECK(reward.content_hash() == "r3@f1");
  CHECK(reward.info().name == "remote");
  CHECK(reward.info().unit == "nats");
  auto samples = responses({"a", "bad", "abc", "\xFF", "abcd"});
  samples[0].reference = "gold";
  samples[0].finished = false;
  const auto scores = reward.score(samples);
  REQUIRE(scores.size() == 5);
  CHECK(scores[0].value == 1);
  CHECK(scores[0].raw == 0.5);
  CHECK(scores[0].components == std::vector<std::pair<std::string, double>>{{"words", 2}});
  CHECK(scores[0].labels == std::vector<std::pair<std::string, std::string>>{{"branch", "open"}});
  CHECK_FALSE(scores[1].value);
  CHECK(scores[1].error == "it is bad");
  CHECK(scores[2].value == 3);
  CHECK(scores[3].error == "response is not valid UTF-8");
  CHECK(scores[4].value == 4);
  const auto seen = server.seen();
  REQUIRE(seen.size() == 3);  // the list of modules, two batches of two
  CHECK(seen[1].target == "/v1/rewards");
  const json first = json::parse(seen[1].body)["samples"][0];
  CHECK(first["messages"][0]["content"] == "prompt");
  CHECK(first["reference_answer"] == "gold");
  CHECK(first["finished"] == false);
  CHECK(reward.score({}).empty());
}

TEST_CASE("remote: one response that spoils a request costs only itself",
          "[rewards][remote][unit]") {
  FakeHttpServer server(native);
  const RemoteReward reward(options_for(server));
  const auto scores = reward.score(responses({"a", "ab", "poison", "abc", "abcd"}));
  for (const std::size_t i : {0, 1, 3, 4}) CHECK(scores[i].value.has_value());
  CHECK(scores[2].error == "the server answered 422: a poisoned text");
}

TEST_CASE("remote: OpenRLHF's protocol", "[rewards][remote][unit]") {
  FakeHttpServer server([](const HttpRequestSeen& request) {
    json rewards = json::array();
    const json body = json::parse(request.body);
    for (const json& query : body["query"]) rewards.push_back(query.get<std::string>().size());
    return HttpAnswer{200, json{{"rewards", rewards}}.dump()};
  });
  RemoteOptions options = options_for(server);
  options.dialect = "openrlhf";
  const RemoteReward reward(options);
  CHECK(contains(reward.content_hash(), "openrlhf@127.0.0.1:"));
  const auto scores = reward.score(responses({"answer"}));
  const auto seen = server.seen();
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].target == "/get_reward");
  const json body = json::parse(seen[0].body);
  const std::string prompt = "<|im_start|>user\nprompt<|im_end|>\n<|im_start|>assistant\n";
  CHECK(body["query"][0] == prompt + "answer<|im_end|>");
  CHECK(body["prompts"][0] == prompt);
  CHECK(body["labels"][0] == "");
  CHECK(scores[0].value == static_cast<double>(prompt.size() + 16));
}

TEST_CASE("remote: what passes is tried again, after the pause the server asks for",
          "[rewards][remote][unit]") {
  std::atomic<int> number{0};
  FakeHttpServer server(posts([&](const HttpRequestSeen& request) {
    switch (number++) {
      case 0:
        return HttpAnswer{503, R"({"error":"full"})", "Retry-After: 1\r\n"};
      case 1: {
        HttpAnswer gone;
        gone.close_before = true;
        return gone;
      }
      default:
        return native(request);
    }
  }));
  const RemoteReward reward(options_for(server));
  const auto start = std::chrono::steady_clock::now();
  CHECK(reward.score(responses({"abc"}))[0].value == 3);
  CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(990));
  CHECK(number == 3);
}

TEST_CASE("remote: a failure is an error text, never a number", "[rewards][remote][unit]") {
  const auto answered = [](HttpAnswer answer) {
    FakeHttpServer server(posts([answer](const HttpRequestSeen&) { return answer; }));
    RemoteOptions options = options_for(server);
    options.attempts = 1;
    options.timeout = 0.3;
    return error_of_one(RemoteReward(options));
  };
  CHECK(contains(answered({200, "not json"}), "not JSON"));
  CHECK(contains(answered({200, R"({"data":[{"index":0,"score":NaN}]})"}), "not JSON"));
  CHECK(contains(answered({200, R"({"data":[{"index":0,"score":1e999}]})"}), "not JSON"));
  CHECK(contains(answered({200, R"({"data":[{"index":0,"score":"1"}]})"}), "a JSON string"));
  CHECK(contains(answered({200, R"({"data":[{"index":0}]})"}), "missing"));
  CHECK(contains(answered({200, R"({"data":[{"index":1,"score":1}]})"}), "no row 0"));
  CHECK(contains(answered({200, R"({"data":[]})"}), "0 scores for 1 responses"));
  CHECK(contains(answered({200, R"({"data":7})"}), "no list \"data\""));
  CHECK(contains(answered({200, "[]"}), "no list \"data\""));
  CHECK(answered({500, R"({"error":{"message":"boom"}})"}) == "the server answered 500: boom");
  CHECK(answered({503, "<h1>\nbusy"}) == "the server answered 503: <h1> busy");
  CHECK(answered({302, ""}) == "the server answered 302");
  HttpAnswer slow{200, "{}"};
  slow.delay = 3;
  CHECK(contains(answered(slow), "no answer within 0.3 s"));
  HttpAnswer closed;
  closed.close_before = true;
  CHECK(contains(answered(closed), "connection was closed"));
}

TEST_CASE("remote: a server that stays away costs its attempts once", "[rewards][remote][unit]") {
  std::atomic<int> posts_seen{0};
  std::atomic<bool> is_back{false};
  FakeHttpServer server(posts([&](const HttpRequestSeen& request) {
    ++posts_seen;
    return is_back ? native(request) : HttpAnswer{503, ""};
  }));
  RemoteOptions options = options_for(server);
  options.batch_size = 1;
  const RemoteReward reward(options);
  for (const Score& score : reward.score(responses({"a", "b", "c"}))) CHECK_FALSE(score.value);
  CHECK(posts_seen == 3 + 1 + 1);
  is_back = true;
  CHECK(reward.score(responses({"ab"}))[0].value == 2);
}

TEST_CASE("remote: the key is sent, from the environment or a file, and in no message",
          "[rewards][remote][unit]") {
  FakeHttpServer server([](const HttpRequestSeen& request) {
    return contains(request.head, "Authorization: Bearer secret-1\r\n")
               ? native(request)
               : HttpAnswer{401, R"({"error":{"message":"a valid access key is needed"}})"};
  });
  RemoteOptions options = options_for(server);
  options.key_env = "PLUMB_TEST_REMOTE_KEY";
  CHECK(contains(refusal_of<UsageError>(options), "PLUMB_TEST_REMOTE_KEY"));
  setenv("PLUMB_TEST_REMOTE_KEY", "secret-1", 1);
  CHECK(RemoteReward(options).score(responses({"ab"}))[0].value == 2);
  test::TempDir dir;
  std::ofstream(dir / "key") << "secret-2\n";
  options.key_file = (dir / "key").string();
  const std::string refused = refusal_of<UsageError>(options);
  CHECK(contains(refused, "401"));
  CHECK_FALSE(contains(refused, "secret"));
  unsetenv("PLUMB_TEST_REMOTE_KEY");
}

TEST_CASE("remote: options and servers that cannot work are refused at the start",
          "[rewards][remote][unit]") {
  RemoteOptions options;
  options.attempts = 1;
  CHECK(contains(refusal_of<UsageError>(options), "remote.url is not set"));
  options.url = "https://host";
  CHECK(contains(refusal_of<UsageError>(options), "https is not supported"));
  std::string gone;
  {
    FakeHttpServer server(native);
    options = options_for(server);
    options.module = "lenght";
    CHECK(contains(refusal_of<UsageError>(options), "which has r3, length"));
    options.module = "length";
    CHECK(RemoteReward(options).content_hash() == "length@f2");
  }
  options.attempts = 1;
  CHECK(contains(refusal_of<DataError>(options), "Connection refused"));
  FakeHttpServer other([](const HttpRequestSeen&) { return HttpAnswer{404, "nothing here"}; });
  CHECK(contains(refusal_of<DataError>(options_for(other)), "remote.dialect"));
  FakeHttpServer odd([](const HttpRequestSeen&) { return HttpAnswer{200, R"({"data":[1]})"}; });
  CHECK(contains(refusal_of<DataError>(options_for(odd)), "no reward module"));
}

TEST_CASE("remote: token rewards of the response's own tokens, a note about others",
          "[rewards][unit]") {
  json seen;
  FakeHttpServer server([&](const HttpRequestSeen& request) -> HttpAnswer {
    if (request.method == "GET") return {200, kModels};
    seen = json::parse(request.body);
    json data = json::array();
    for (const json& values : {json{0.5, -1}, json{0.5, -1}, json{1, nullptr}, json::array()})
      data.push_back({{"index", data.size()},
                      {"score", 1},
                      {"modules", {{"r3", {{"raw", 1}, {"token_rewards", values}}}}}});
    return {200, json{{"data", data}}.dump()};
  });
  const RemoteReward remote(options_for(server));
  std::vector<RewardSample> samples = responses({"ab", "abc", "ab", "ab"});
  samples[0].response_ids = {7, 8};
  samples[1].response_ids = {7, 8, 9};
  samples[2].response_ids = {7, 8};
  const std::vector<Score> scores = remote.score(samples);
  CHECK(scores[0].per_token == std::vector<float>{0.5F, -1.0F});
  CHECK(scores[0].labels.empty());
  for (const std::size_t i : {1U, 2U, 3U}) {
    CHECK(scores[i].value == 1.0);
    CHECK(scores[i].per_token.empty());
  }
  using Labels = std::vector<std::pair<std::string, std::string>>;
  CHECK(scores[1].labels == Labels{{"token_rewards", "not kept: 2 values for 3 tokens"}});
  CHECK(scores[2].labels == Labels{{"token_rewards", "not kept: 2 entries for 2 tokens"}});
  CHECK(scores[3].labels.empty());
  CHECK(seen["return"] == json{"components", "token_rewards"});
  CHECK(seen["samples"][1]["response_token_ids"] == json{7, 8, 9});
  CHECK_FALSE(seen["samples"][3].contains("response_token_ids"));
}
