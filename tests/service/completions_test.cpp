#include "service/fake_policy.hpp"
#include "service/test_server.hpp"

#include "support/catch.hpp"

/// The completion routes with FakePolicy: it continues with "abc...", each token has log-prob -1.

using namespace plumb;
using nlohmann::json;
using test::Answer;
using test::Client;
using test::ReadyServer;

namespace {

ReadyServer& server() {
  static ReadyServer shared(service::ServeOptions{}, test::FakeOptions{},
                            std::vector<std::string>{},
                            []() -> std::shared_ptr<const service::ServedModels> {
                              auto models = test::fake_models({});
                              models->serve_policy(std::make_shared<test::FakePolicy>());
                              return models;
                            });
  return shared;
}

json ok(const std::string& path, const json& body) { return server().ok(path, body); }

/// The JSON of every `data:` event; the last one must be [DONE].
std::vector<json> events(const Answer& answer) {
  std::vector<json> out;
  std::size_t at = 0;
  bool done = false;
  while (at < answer.body.size()) {
    const std::size_t end = answer.body.find("\n\n", at);
    REQUIRE(end != std::string::npos);
    const std::string event = answer.body.substr(at, end - at);
    REQUIRE(event.starts_with("data: "));
    REQUIRE_FALSE(done);
    if (event == "data: [DONE]") {
      done = true;
    } else {
      out.push_back(json::parse(event.substr(6)));
    }
    at = end + 2;
  }
  CHECK(done);
  return out;
}

}  // namespace

TEST_CASE("a completion has the legacy shape, one choice a prompt and sample", "[service][unit]") {
  const json reply = ok("/v1/completions", {{"prompt", {"xy", "z"}}, {"n", 2}, {"max_tokens", 3}});
  CHECK(reply["object"] == "text_completion");
  CHECK(reply["id"].get<std::string>().starts_with("cmpl-"));
  REQUIRE(reply["choices"].size() == 4);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(reply["choices"][i] == json{{"index", i},
                                      {"text", "abc"},
                                      {"logprobs", nullptr},
                                      {"finish_reason", "length"},
                                      {"stop_reason", nullptr}});
  CHECK(reply["usage"] ==
        json{{"prompt_tokens", 3}, {"total_tokens", 15}, {"completion_tokens", 12}});
  CHECK(ok("/v1/completions", {{"prompt", {120, 121}}, {"max_tokens", 1}})["choices"].size() == 1);
  CHECK(ok("/v1/completions", {{"prompt", {{120}, {121}}}, {"max_tokens", 1}})["choices"].size() ==
        2);
  CHECK(ok("/v1/completions", {{"prompt", "x"}})["choices"][0]["text"] == "abcdefghijklmnop");
}

TEST_CASE("echo without new tokens scores the given text; the first token has null",
          "[service][unit]") {
  const json choice = ok(
      "/v1/completions",
      {{"prompt", "h\xc3\xa9y"}, {"echo", true}, {"max_tokens", 0}, {"logprobs", 1}})["choices"][0];
  CHECK(choice["text"] == "h\xc3\xa9y");
  const json& logprobs = choice["logprobs"];
  CHECK(logprobs["tokens"].size() == 4);
  CHECK(logprobs["token_logprobs"] == json{nullptr, -1.0, -1.0, -1.0});
  CHECK(logprobs["top_logprobs"][0].is_null());
  CHECK(logprobs["top_logprobs"][3] == json{{"y", -1.0}});
  CHECK(logprobs["text_offset"] == json{0, 1, 2, 2});
  const json both =
      ok("/v1/completions",
         {{"prompt", "xy"}, {"echo", true}, {"max_tokens", 2}, {"logprobs", 0}})["choices"][0];
  CHECK(both["text"] == "xyab");
  CHECK(both["logprobs"]["tokens"] == json{"x", "y", "a", "b"});
  const json ids = ok(
      "/v1/completions",
      {{"prompt", "xy"}, {"max_tokens", 1}, {"logprobs", 0}, {"return_tokens_as_token_ids", true}});
  CHECK(ids["choices"][0]["logprobs"]["tokens"] == json::array({"token_id:97"}));
}

TEST_CASE("the service's names for its models are those of the policy, too", "[service][unit]") {
  for (const char* model : {"plumb", "fake-policy", "tgi", "dummy"})
    CHECK(ok("/v1/completions", {{"model", model}, {"prompt", "x"}})["model"] == model);
  CHECK(ok("/v1/completions", {{"prompt", "x"}})["model"] == "fake-policy");
  CHECK(ok("/classify", {{"model", "tgi"}, {"input", "ab"}})["data"][0]["probs"][0] == 2.0);
}

TEST_CASE("a chat completion has a message and its log-probs", "[service][unit]") {
  const json messages = {{{"role", "user"}, {"content", "hi"}}};
  const json reply = ok("/v1/chat/completions", {{"model", "fake-policy"},
                                                 {"messages", messages},
                                                 {"max_completion_tokens", 2},
                                                 {"logprobs", true}});
  CHECK(reply["object"] == "chat.completion");
  const json& choice = reply["choices"][0];
  CHECK(choice["message"] == json{{"role", "assistant"}, {"content", "ab"}});
  CHECK(choice["logprobs"]["content"][1] ==
        json{{"token", "b"}, {"logprob", -1.0}, {"bytes", {98}}, {"top_logprobs", json::array()}});
}

TEST_CASE("streams send deltas that add up to the text, usage, and [DONE]", "[service][unit]") {
  const json messages = {{{"role", "user"}, {"content", "hi"}}};
  Client client(server().port());
  const Answer answer =
      client.post("/v1/chat/completions", {{"messages", messages},
                                           {"max_tokens", 5},
                                           {"stream", true},
                                           {"stream_options", {{"include_usage", true}}}});
  CHECK(answer.headers.at("content-type") == "text/event-stream");
  const std::vector<json> chunks = events(answer);
  CHECK(chunks.front()["choices"][0]["delta"]["role"] == "assistant");
  std::string text, finish;
  for (const json& chunk : chunks) {
    CHECK(chunk["object"] == "chat.completion.chunk");
    for (const json& choice : chunk["choices"]) {
      text += choice["delta"].value("content", "");
      if (choice["finish_reason"].is_string()) finish += choice["finish_reason"];
    }
  }
  CHECK(text == "abcde");
  CHECK(finish == "length");
  CHECK(chunks.back()["choices"] == json::array());
  CHECK(chunks.back()["usage"]["completion_tokens"] == 5);
  // The connection carries on.
  const std::vector<json> legacy = events(client.post(
      "/v1/completions", {{"prompt", "x"}, {"max_tokens", 2}, {"n", 2}, {"stream", true}}));
  std::map<int, std::string> texts;
  for (const json& chunk : legacy)
    texts[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"];
  CHECK(texts == std::map<int, std::string>{{0, "ab"}, {1, "ab"}});
}

TEST_CASE("the pieces of a stream add up to the whole reply, log-probs and alternatives included",
          "[service][unit]") {
  const auto streamed = [](const std::string& path, json body) {
    body["stream"] = true;
    return events(Client(server().port()).post(path, body));
  };
  const json messages = {{{"role", "user"}, {"content", "hi"}}};
  json chat{{"messages", messages}, {"max_tokens", 30},       {"logprobs", true},
            {"top_logprobs", 3},    {"stop", {"fgz", "xyz"}}, {"n", 2}};
  const json whole = ok("/v1/chat/completions", chat);
  std::map<std::size_t, json> contents;
  for (const json& chunk : streamed("/v1/chat/completions", chat)) {
    const json& choice = chunk["choices"][0];
    if (choice["logprobs"].is_null()) continue;
    for (const json& token : choice["logprobs"]["content"])
      contents[choice["index"]].push_back(token);
  }
  REQUIRE(contents.size() == 2);
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(contents[i] == whole["choices"][i]["logprobs"]["content"]);
  CHECK(contents[1][0]["top_logprobs"] ==
        json{{{"token", "a"}, {"logprob", -1.0}, {"bytes", {97}}},
             {{"token", "b"}, {"logprob", -2.0}, {"bytes", {98}}},
             {{"token", "c"}, {"logprob", -3.0}, {"bytes", {99}}}});

  const json text{{"prompt", {"h\xc3\xa9y", "z"}},
                  {"max_tokens", 4},
                  {"logprobs", 2},
                  {"stop", "bcx"},
                  {"echo", true}};
  const json expected = ok("/v1/completions", text);
  std::map<std::size_t, json> sums;
  for (const json& chunk : streamed("/v1/completions", text)) {
    const json& choice = chunk["choices"][0];
    if (choice["logprobs"].is_null()) continue;
    for (const auto& [name, values] : choice["logprobs"].items()) {
      for (const json& value : values) sums[choice["index"]][name].push_back(value);
    }
  }
  REQUIRE(sums.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) CHECK(sums[i] == expected["choices"][i]["logprobs"]);
  CHECK(sums[0]["top_logprobs"][4] == json{{"a", -1.0}, {"b", -2.0}});
}

TEST_CASE("bad completion requests are refused with the field at fault", "[service][unit]") {
  const auto field = [&](json body, int status = 400) {
    body.emplace("prompt", "x");
    const Answer answer = server().post("/v1/completions", body);
    CHECK(answer.status == status);
    return answer.json()["error"]["param"];
  };
  CHECK(field({{"temperature", -1}}) == "temperature");
  CHECK(field({{"top_p", 2}}) == "top_p");
  CHECK(field({{"n", 0}}) == "n");
  CHECK(field({{"max_tokens", 5000}}) == "max_tokens");
  CHECK(field({{"logprobs", 21}}) == "logprobs");
  CHECK(field({{"stop", {1}}}) == "stop[0]");
  CHECK(field({{"presence_penalty", 1}}) == "presence_penalty");
  CHECK(field({{"prompt", {400}}}) == "prompt");
  CHECK(field({{"model", "gone"}}, 404) == "model");
  CHECK(server().post("/v1/completions", {{"prompt", ""}}).status == 400);
  CHECK(server().post("/v1/completions", {{"prompt", std::string(5000, 'x')}}).status == 400);
  CHECK(server().post("/v1/chat/completions", {{"messages", json::array()}}).status == 400);
}

TEST_CASE("a reader that leaves a stream ends its generation", "[service][unit]") {
  Client client(server().port());
  const std::string body = R"({"prompt":"x","max_tokens":4000,"n":100,"stream":true})";
  client.send(
      "POST /v1/completions HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body);
  client.reset();
  int status = 503;  // while the queue is full of it
  for (int i = 0; i < 200 && status == 503; ++i) {
    status = server().post("/v1/completions", {{"prompt", "x"}, {"max_tokens", 1}}).status;
    if (status == 503) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CHECK(status == 200);
}
