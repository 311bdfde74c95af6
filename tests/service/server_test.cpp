#include <future>

#include "core/base64.hpp"
#include "core/error.hpp"
#include "service/test_server.hpp"

#include "support/catch.hpp"

/// The server under good and bad traffic, byte by byte.

using namespace plumb;
using nlohmann::json;
using service::ServeOptions;
using test::Answer;
using test::Client;
using test::FakeOptions;
using test::ReadyServer;

namespace {

const char* const kQuery = R"({"query":["hello"]})";

json samples(int n, const std::string& stem) {
  json list = json::array();
  for (int i = 0; i < n; ++i)
    list.push_back({{"prompt", "p"}, {"response", stem + std::to_string(i)}});
  return {{"samples", list}};
}

double metric(ReadyServer& server, const std::string& name, const std::string& labels = "") {
  return server.service().metrics().value(name, labels);
}

void wait_for(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000 && !condition(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(condition());
}

FakeOptions gated_fake() {
  FakeOptions fake;
  fake.gate = std::make_shared<test::Gate>();
  return fake;
}

std::string post_head(std::size_t length, const std::string& more = "") {
  return "POST /get_reward HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
         "Content-Length: " +
         std::to_string(length) + "\r\n" + more + "\r\n";
}

}  // namespace

TEST_CASE("connections are kept, pipelined requests are answered in order", "[service][unit]") {
  ReadyServer server;
  Client client(server.port());
  std::string both;
  for (const char* query : {R"({"query":["a"]})", R"({"query":["abc"]})"})
    both += post_head(std::string(query).size()) + query;
  client.send(both);
  CHECK(client.receive().json()["rewards"][0] == 1.0);
  CHECK(client.receive().json()["rewards"][0] == 3.0);
  CHECK(client.request("POST", "/get_reward", kQuery).status == 200);
  const Answer last = client.request("POST", "/get_reward", kQuery,
                                     "Content-Type: application/json\r\nConnection: close\r\n"
                                     "X-Request-Id: my.id-1\r\n");
  CHECK(last.headers.at("x-request-id") == "my.id-1");
  CHECK(client.is_closed());
}

TEST_CASE("chunked bodies, HTTP/1.0, HEAD and Expect: 100-continue work", "[service][unit]") {
  ReadyServer server;
  Client chunked(server.port());
  chunked.send(
      "POST /get_reward HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\n\r\n9\r\n{\"query\":\r\na\r\n[\"hello\"]}\r\n0\r\n\r\n");
  CHECK(chunked.receive().json()["rewards"][0] == 5.0);

  Client old(server.port());
  old.send("GET /health HTTP/1.0\r\n\r\n");
  CHECK(old.receive().status == 200);
  CHECK(old.is_closed());

  Client head(server.port());
  head.send("HEAD /v1/models HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n");
  CHECK(std::stoi(head.receive(2).headers["content-length"]) > 100);

  Client careful(server.port());
  careful.send(post_head(std::string(kQuery).size(), "Expect: 100-continue\r\n"));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  careful.send(kQuery);
  CHECK(careful.receive().status == 200);
}

TEST_CASE("every kind of bad request has its status and leaves the server well",
          "[service][unit]") {
  ServeOptions options;
  options.max_items = 10;
  options.max_body_mb = 1;
  ReadyServer server(options);
  const auto raw = [&](const std::string& bytes) {
    Client client(server.port());
    client.send(bytes);
    return client.receive().status;
  };
  const auto body = [&](const std::string& text) {
    return Client(server.port()).request("POST", "/get_reward", text).status;
  };
  CHECK(raw("nonsense\r\n\r\n") == 400);
  CHECK(raw(std::string("GET /\0 HTTP/1.1\r\n\r\n", 19)) == 400);
  CHECK(raw("GET /gone HTTP/1.1\r\n\r\n") == 404);
  CHECK(raw("GET /get_reward HTTP/1.1\r\n\r\n") == 405);
  CHECK(raw("DELETE /metrics HTTP/1.1\r\n\r\n") == 405);
  CHECK(raw("GET / HTTP/1.1\r\nX: " + std::string(40000, 'x') + "\r\n\r\n") == 431);
  CHECK(raw(post_head(std::size_t{5} << 20)) == 413);
  CHECK(
      raw("POST /get_reward HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}") ==
      415);
  CHECK(raw(post_head(2, "Content-Encoding: gzip\r\n") + "{}") == 415);
  CHECK(raw(post_head(2, "Content-Encoding: identity\r\n") + "{}") == 400);
  CHECK(raw(post_head(2, "Expect: something\r\n") + "{}") == 417);
  // Framing that two servers could read in two ways.
  const std::string chunk = "2\r\n{}\r\n0\r\n\r\n";
  const std::string post = "POST /get_reward HTTP/1.1\r\nContent-Type: application/json\r\n";
  CHECK(raw(post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk) == 400);
  CHECK(raw(post + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n" + chunk) == 400);
  CHECK(raw(post + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunk) == 400);
  CHECK(raw(post + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk) == 400);
  CHECK(raw(post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}") == 400);
  CHECK(raw(post + "Content-Length: -2\r\n\r\n{}") == 400);
  CHECK(raw("POST /get_reward HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk) == 400);
  CHECK(raw(post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n") == 400);
  // Bodies.
  for (const char* text : {"", "{", "[]", "7", R"({"query":7})", R"({"query":[7]})",
                           R"({"query":["a"],"query":["b"]})", "{\"query\":[\"\xff\"]}"})
    CHECK(body(text) == 400);
  CHECK(body("{\"query\":" + std::string(100000, '[')) == 400);
  CHECK(body(json{{"query", std::vector<std::string>(11, "x")}}.dump()) == 422);
  CHECK(raw(post + "Transfer-Encoding: chunked\r\n\r\n200000\r\n" + std::string(0x200000, ' ')) ==
        413);
  CHECK(body(kQuery) == 200);
}

TEST_CASE("an over-long text is refused, or cut and reported", "[service][unit]") {
  ServeOptions options;
  options.max_length = 10;
  const json request{{"samples", {{{"prompt", "0123456789"}, {"response", "abcd"}}}}};
  {
    ReadyServer server(options);
    CHECK(server.post("/v1/rewards", request).status == 422);
    json wish = request;
    wish["truncate"] = true;
    CHECK(server.post("/v1/rewards", wish).json()["data"][0]["truncated"] == true);
  }
  options.truncation = "prompt";
  ReadyServer server(options);
  const json item = server.post("/v1/rewards", request).json()["data"][0];
  CHECK(item["truncated"] == true);
  CHECK(item["prompt_tokens"] == 6);
  CHECK(item["score"] == Approx(4 - 0.06));
  const Answer classic = server.post("/score", {{"text_1", "0123456789"}, {"text_2", "abcd"}});
  CHECK(classic.headers.at("x-truncated-items") == "1");
}

TEST_CASE("keys guard everything but the health routes", "[service][unit]") {
  ReadyServer server(ServeOptions{}, FakeOptions{}, std::vector<std::string>{"a-good-key"});
  const auto status = [&](const std::string& method, const std::string& path,
                          const std::string& headers) {
    return Client(server.port())
        .request(method, path, method == "POST" ? kQuery : "",
                 "Content-Type: application/json\r\n" + headers);
  };
  const Answer refused = status("POST", "/get_reward", "");
  CHECK(refused.status == 401);
  CHECK(refused.headers.at("www-authenticate").find("Bearer") != std::string::npos);
  CHECK(status("POST", "/get_reward", "Authorization: Bearer wrong-key\r\n").status == 401);
  CHECK(status("POST", "/get_reward", "Authorization: Bearer a-good-key\r\n").status == 200);
  CHECK(status("POST", "/get_reward",
               "Authorization: Basic " + encode_base64("u:a-good-key") + "\r\n")
            .status == 200);
  CHECK(status("GET", "/metrics", "").status == 401);
  CHECK(status("GET", "/v1/models", "").status == 401);
  CHECK(status("POST", "/v1/reload", "").status == 401);
  CHECK(status("GET", "/gone", "").status == 401);
  for (const char* path : {"/health", "/ready", "/live", "/ping"})
    CHECK(status("GET", path, "").status == 200);
}

TEST_CASE("until the models are there, the service says 503 with Retry-After", "[service][unit]") {
  std::promise<void> gate;
  test::TestServer server({}, {}, {}, [&]() -> std::shared_ptr<const service::ServedModels> {
    gate.get_future().wait();
    return test::fake_models({});
  });
  CHECK(Client(server.port()).request("GET", "/live").status == 200);
  CHECK(Client(server.port()).request("GET", "/ready").status == 503);
  const Answer early = Client(server.port()).request("POST", "/get_reward", kQuery);
  CHECK(early.status == 503);
  CHECK(early.headers.at("retry-after") == "1");
  gate.set_value();
  server.wait_until_ready();
  CHECK(Client(server.port()).request("POST", "/get_reward", kQuery).status == 200);
}

TEST_CASE("a first load that fails ends the server with its error", "[service][unit]") {
  service::ServeOptions options;
  options.port = 0;
  options.request_log = "";
  service::Service service(
      options, service::Access({}),
      []() -> std::shared_ptr<const service::ServedModels> { throw DataError("no such model"); },
      nullptr, "test");
  service::HttpServer server(service);
  service.start([&](std::exception_ptr error) { server.fail(std::move(error)); });
  CHECK_THROWS_AS(server.run(), DataError);
}

TEST_CASE("scores do not depend on the company of a text, and none is lost or doubled",
          "[service][unit]") {
  ServeOptions options;
  options.max_batch_tokens = 64;
  ReadyServer server(options);
  std::vector<std::future<bool>> clients;
  for (int c = 0; c < 8; ++c) {
    clients.push_back(std::async(std::launch::async, [&, c] {
      Client client(server.port());
      bool good = true;
      for (int i = 0; i < 30; ++i) {
        const int n = (c + i) % 7;
        std::vector<std::string> texts;
        for (int k = 0; k < n; ++k)
          texts.push_back(
              std::string(static_cast<std::size_t>((c * 31 + i * 7 + k * 13) % 50), 'x'));
        const json reply = client.post("/get_reward", {{"query", texts}}).json();
        good &= reply["rewards"].size() == texts.size();
        for (std::size_t k = 0; good && k < texts.size(); ++k)
          good &= reply["rewards"][k] == static_cast<double>(texts[k].size());
      }
      return good;
    }));
  }
  for (auto& client : clients) CHECK(client.get());
  wait_for([&] { return server.service().waiting_requests() == 0; });
  CHECK(server.service().waiting_tokens() == 0);
}

TEST_CASE("the same text is scored once: from the cache, and inside of a batch",
          "[service][unit]") {
  ReadyServer server;
  const std::string label = "module=\"fake\"";
  CHECK(server.post("/v1/rewards", samples(3, "x")).status == 200);
  CHECK(server.post("/v1/rewards", samples(5, "x")).status == 200);
  CHECK(metric(server, "plumb_scored_total", label) == 5);
  CHECK(metric(server, "plumb_cache_hits_total") == 3);
  json twins = samples(1, "y");
  for (int i = 0; i < 9; ++i) twins["samples"].push_back(twins["samples"][0]);
  const json reply = server.post("/v1/rewards", twins).json();
  CHECK(reply["data"].size() == 10);
  CHECK(metric(server, "plumb_scored_total", label) == 6);
  CHECK(server.post("/v1/rewards", samples(1, "FAIL")).status == 200);
}

TEST_CASE("one bad text does not spoil its batch", "[service][unit]") {
  ReadyServer server;
  const json reply = server
                         .post("/v1/rewards", {{"samples",
                                                {{{"prompt", ""}, {"response", "good"}},
                                                 {{"prompt", ""}, {"response", "THROW"}},
                                                 {{"prompt", ""}, {"response", "NAN"}},
                                                 {{"prompt", ""}, {"response", "FAIL"}}}}})
                         .json();
  CHECK(reply["data"][0]["score"] == 4.0);
  for (std::size_t i = 1; i < 4; ++i) {
    CHECK(reply["data"][i]["score"].is_null());
    CHECK(reply["data"][i]["error"].is_string());
  }
  CHECK(reply.dump().find("NaN") == std::string::npos);
}

TEST_CASE("what does not fit the queue is refused whole and at once", "[service][unit]") {
  ServeOptions options;
  options.max_queue_requests = 2;
  options.max_batch_tokens = 1;
  options.cache_mb = 0;
  for (const std::int64_t status : {503, 429}) {
    options.overload_status = status;
    const FakeOptions fake = gated_fake();
    ReadyServer server(options, fake);
    Client first(server.port()), second(server.port());
    const std::string body = kQuery;
    first.send(post_head(body.size()) + body);
    wait_for([&] { return fake.gate->waiting == 1; });
    second.send(post_head(body.size()) + body);
    wait_for([&] { return server.service().waiting_requests() == 2; });
    const Answer third = server.post("/get_reward", json::parse(body));
    CHECK(third.status == status);
    CHECK(third.headers.at("retry-after") == "1");
    fake.gate->closed = false;
    CHECK(first.receive().status == 200);
    CHECK(second.receive().status == 200);
    CHECK(server.post("/get_reward", json::parse(body)).status == 200);
  }
}

TEST_CASE("a deadline in the queue is a 504 and the text is not computed", "[service][unit]") {
  const FakeOptions fake = gated_fake();
  ReadyServer server(ServeOptions{}, fake);
  Client first(server.port());
  const std::string body = R"({"samples":[{"prompt":"","response":"first"}]})";
  first.send("POST /v1/rewards HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
             "\r\n\r\n" + body);
  wait_for([&] { return fake.gate->waiting == 1; });
  const Answer late = Client(server.port())
                          .request("POST", "/v1/rewards", samples(1, "late").dump(),
                                   "X-Request-Timeout-Ms: 50\r\n");
  CHECK(late.status == 504);
  fake.gate->closed = false;
  CHECK(first.receive().status == 200);
  wait_for([&] { return metric(server, "plumb_dropped_total") == 1; });
  CHECK(metric(server, "plumb_scored_total", "module=\"fake\"") == 1);
}

TEST_CASE("a client that went away is skipped; a half-closed one gets its reply",
          "[service][unit]") {
  const FakeOptions fake = gated_fake();
  ReadyServer server(ServeOptions{}, fake);
  const auto send = [&](Client& client, const std::string& text) {
    const std::string body = json{{"samples", {{{"prompt", ""}, {"response", text}}}}}.dump();
    client.send("POST /v1/rewards HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
  };
  Client first(server.port()), closed(server.port()), reset(server.port()), half(server.port());
  send(first, "first");
  wait_for([&] { return fake.gate->waiting == 1; });
  send(closed, "closed");
  send(reset, "reset");
  send(half, "half");
  wait_for([&] { return server.service().waiting_requests() == 4; });
  closed.close();
  reset.reset();
  half.shut_sending();
  wait_for([&] { return metric(server, "plumb_connections") == 2; });
  fake.gate->closed = false;
  CHECK(first.receive().status == 200);
  CHECK(half.receive().json()["data"][0]["score"] == 4.0);
  wait_for([&] { return metric(server, "plumb_dropped_total") == 2; });
  CHECK(metric(server, "plumb_scored_total", "module=\"fake\"") == 2);
  wait_for([&] { return server.service().waiting_requests() == 0; });
}

TEST_CASE("slow heads, slow bodies and idle connections are cut", "[service][unit]") {
  ServeOptions options;
  options.header_timeout = options.body_timeout = options.idle_timeout = 0.3;
  ReadyServer server(options);
  Client idle(server.port()), head(server.port()), body(server.port());
  body.send(post_head(100) + "{");
  for (int i = 0; i < 8; ++i) {
    head.send(i == 0 ? "G" : "x");
    body.send(" ");
    std::this_thread::sleep_for(std::chrono::milliseconds(80));
  }
  CHECK(head.is_closed(1));
  CHECK(body.is_closed(1));
  CHECK(idle.is_closed(1));
  CHECK(server.post("/get_reward", json::parse(kQuery)).status == 200);
}

TEST_CASE("reload swaps the modules without dropping requests; a failing one keeps the old",
          "[service][unit]") {
  std::atomic<int> loads{0};
  FakeOptions slow;
  slow.ms_per_text = 100;
  ServeOptions options;
  options.cache_mb = 0;
  ReadyServer server(options, FakeOptions{}, std::vector<std::string>{},
                     [&]() -> std::shared_ptr<const service::ServedModels> {
                       const int number = loads++;
                       if (number == 2) throw DataError("the file is gone");
                       auto models = std::make_shared<service::ServedModels>();
                       models->modules.push_back(
                           {"fake", std::make_shared<test::FakeReward>("fake", slow, number * 100),
                            std::to_string(number)});
                       return models;
                     });
  Client running(server.port());
  running.send(post_head(std::string(kQuery).size()) + kQuery);
  wait_for([&] { return server.service().waiting_requests() == 1; });
  CHECK(Client(server.port()).request("POST", "/v1/reload", "{}").status == 200);
  CHECK(running.receive().json()["rewards"][0] == 5.0);
  CHECK(server.post("/get_reward", json::parse(kQuery)).json()["rewards"][0] == 105.0);
  CHECK(Client(server.port()).request("POST", "/v1/reload", "{}").status == 500);
  CHECK(server.post("/get_reward", json::parse(kQuery)).json()["rewards"][0] == 105.0);
}

TEST_CASE("a drain finishes what is in flight and closes the rest", "[service][unit]") {
  const FakeOptions fake = gated_fake();
  ServeOptions options;
  options.drain_delay = 1;
  ReadyServer server(options, fake);
  Client idle(server.port()), busy(server.port());
  CHECK(idle.request("GET", "/ready").status == 200);
  busy.send(post_head(std::string(kQuery).size()) + kQuery);
  wait_for([&] { return fake.gate->waiting == 1; });
  server.server().drain();
  wait_for([&] { return server.service().is_draining(); });
  CHECK(idle.request("GET", "/ready").status == 503);  // still accepting, but not ready
  CHECK(idle.is_closed(10));
  fake.gate->closed = false;
  const Answer last = busy.receive();
  CHECK(last.status == 200);
  CHECK(last.headers.at("connection") == "close");
  server.stop();
  CHECK_THROWS(Client(server.port()));
}

TEST_CASE("connections beyond the limit get a 503, bodies beyond the memory, too",
          "[service][unit]") {
  ServeOptions options;
  options.max_connections = 3;
  options.max_bodies_mb = 1;
  ReadyServer server(options);
  {
    wait_for([&] { return metric(server, "plumb_connections") == 0; });
    Client a(server.port()), b(server.port()), c(server.port()), d(server.port());
    CHECK(d.receive().status == 503);
    CHECK(a.request("GET", "/health").status == 200);
  }
  wait_for([&] { return metric(server, "plumb_connections") == 0; });
  Client big(server.port());
  big.send(post_head(3 << 20) + std::string(2 << 20, ' '));
  CHECK(big.receive().status == 503);
  wait_for([&] { return metric(server, "plumb_connections") == 0; });
  CHECK(server.post("/get_reward", json::parse(kQuery)).status == 200);
}

TEST_CASE("a large body is read beside the others", "[service][unit]") {
  ReadyServer server;
  json large = samples(1000, std::string(2000, 'x'));
  const json reply = server.post("/v1/rewards", large).json();
  REQUIRE(reply["data"].size() == 1000);
  CHECK(reply["data"][999]["score"] == Approx(2003 - 0.01));
}
