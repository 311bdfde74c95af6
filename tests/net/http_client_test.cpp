#include "net/http_client.hpp"

#include "support/fake_http_server.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::FakeHttpServer;
using test::HttpAnswer;
using test::HttpRequestSeen;

namespace {

HttpClient client_of(const FakeHttpServer& server, HttpClient::Options options = {}) {
  return {parse_http_url(server.url(), "test"), options};
}

std::string error_of(HttpClient& client) {
  try {
    client.post("/x", "{}", {});
  } catch (const NetworkError& error) {
    return error.what();
  }
  return "no error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("looking a name up counts towards the time-out", "[net][unit]") {
  FakeHttpServer server([](const HttpRequestSeen&) { return HttpAnswer{200, "yes"}; });
  const auto after = [&](double pause, double timeout) {
    HttpClient::Options options;
    options.timeout = timeout;
    options.lookup = [pause](const std::string& host) {
      std::this_thread::sleep_for(std::chrono::duration<double>(pause));
      return host == "name.test" ? HostAddresses{{"127.0.0.1"}, ""} : HostAddresses{{}, "unknown"};
    };
    return options;
  };
  const std::string port = server.url().substr(server.url().rfind(':'));
  HttpClient quick(parse_http_url("http://name.test" + port, "test"), after(0, 5));
  CHECK(quick.get("/x", {}).body == "yes");
  HttpClient stranger(parse_http_url("http://other.test" + port, "test"), after(0, 5));
  CHECK(contains(error_of(stranger), "the host is not known: unknown"));
  HttpClient slow(parse_http_url("http://name.test" + port, "test"), after(2, 0.2));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(contains(error_of(slow), "no answer within 0.2 s"));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(1500));
}

TEST_CASE("the system knows this machine", "[net][unit]") {
  for (const char* name : {"localhost", "127.0.0.1"}) {
    const HostAddresses found = system_lookup(name);
    INFO(found.error);
    REQUIRE_FALSE(found.addresses.empty());
    CHECK((found.addresses[0] == "127.0.0.1" || found.addresses[0] == "::1"));
  }
  CHECK_FALSE(system_lookup("").error.empty());
}

TEST_CASE("a connection is kept; request and reply arrive whole", "[net][unit]") {
  const std::string big(3 << 20, 'x');
  FakeHttpServer server([&](const HttpRequestSeen& request) {
    return HttpAnswer{503, request.target == "/big" ? big : "no", "Retry-After: 7\r\n"};
  });
  HttpClient client = client_of(server);
  const HttpReply small = client.post("/x", R"({"a":1})", {{"Authorization", "Bearer k"}});
  CHECK(small.status == 503);
  CHECK(small.body == "no");
  CHECK(small.retry_after == "7");
  CHECK(client.post("/big", big, {}).body.size() == big.size());
  CHECK(client.get("/y", {}).status == 503);
  CHECK(server.connections() == 1);
  const auto seen = server.seen();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].body == R"({"a":1})");
  CHECK(contains(seen[0].head, "Authorization: Bearer k\r\n"));
  CHECK(contains(seen[0].head, "Content-Type: application/json\r\n"));
  CHECK(contains(seen[0].head, "Host: 127.0.0.1:"));
  CHECK(seen[1].body.size() == big.size());
  CHECK(seen[2].method == "GET");
}

TEST_CASE("a kept connection that the server closed is replaced", "[net][unit]") {
  FakeHttpServer server([](const HttpRequestSeen&) {
    HttpAnswer answer{200, "ok"};
    answer.close_after = true;
    return answer;
  });
  HttpClient client = client_of(server);
  for (int i = 0; i < 3; ++i) CHECK(client.post("/x", "{}", {}).body == "ok");
  CHECK(server.connections() == 3);
}

TEST_CASE("failures name the server and the reason, and the next request works", "[net][unit]") {
  int number = 0;
  FakeHttpServer server([&](const HttpRequestSeen&) {
    HttpAnswer answer{200, "ok"};
    switch (number++) {
      case 0:
        answer.delay = 5;
        break;
      case 1:
        answer.close_before = true;
        break;
      case 2:
        answer.raw = "SSH-2.0-x\r\n\r\n";
        break;
      case 3:
        answer.raw = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
        break;
      case 4:
        answer.body = std::string(2000, 'x');
        break;
      default:
        break;
    }
    return answer;
  });
  HttpClient client = client_of(server, {.timeout = 0.2, .max_reply_bytes = 1000});
  const std::string slow = error_of(client);
  CHECK(contains(slow, "http://127.0.0.1:"));
  CHECK(contains(slow, "no answer within 0.2 s"));
  CHECK(contains(error_of(client), "the connection was closed"));
  CHECK(contains(error_of(client), "bad version"));
  CHECK(contains(error_of(client), "partial message"));
  CHECK_THAT(error_of(client), Catch::Matchers::Contains("body limit exceeded"));
  CHECK(client.post("/x", "{}", {}).body == "ok");
}

TEST_CASE("nobody listens, nobody is known", "[net][unit]") {
  std::string url;
  {
    FakeHttpServer server([](const HttpRequestSeen&) { return HttpAnswer{}; });
    url = server.url();
  }
  HttpClient refused(parse_http_url(url, "test"), {});
  CHECK(contains(error_of(refused), "Connection refused"));
  HttpClient unknown(parse_http_url("http://no-such-host.invalid", "test"), {});
  CHECK(contains(error_of(unknown), "the host is not known"));
}
