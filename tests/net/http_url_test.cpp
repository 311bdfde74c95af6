#include "net/http_url.hpp"

#include "core/error.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::Contains;

TEST_CASE("the parts of a URL", "[net][unit]") {
  const HttpUrl plain = parse_http_url("http://host", "x");
  CHECK(plain.host == "host");
  CHECK(plain.port == "80");
  CHECK(plain.target.empty());
  CHECK(plain.authority() == "host");
  const HttpUrl full = parse_http_url("http://10.0.0.1:5000/get_reward?a=b#c", "x");
  CHECK(full.port == "5000");
  CHECK(full.target == "/get_reward?a=b");
  CHECK(full.authority() == "10.0.0.1:5000");
  const HttpUrl v6 = parse_http_url("http://[::1]:8000/", "x");
  CHECK(v6.host == "::1");
  CHECK(v6.authority() == "[::1]:8000");
}

TEST_CASE("other URLs are refused with the reason", "[net][unit]") {
  const auto refuses = [](const char* url, const char* why) {
    CHECK_THROWS_MATCHES(parse_http_url(url, "remote.url"), UsageError,
                         Catch::Matchers::Predicate<UsageError>([&](const UsageError& error) {
                           const std::string text = error.what();
                           return text.starts_with("remote.url: ") &&
                                  text.find(why) != std::string::npos;
                         }));
  };
  refuses("https://host/", "https is not supported");
  refuses("host:8000", "does not begin with http://");
  refuses("http://", "no host");
  refuses("http://user:secret@host/", "a user or a key");
  refuses("http://host:0/", "port");
  refuses("http://host:65536/", "port");
  refuses("http://host:8a/", "port");
  refuses("http://[::1/", "bracket");
  refuses("http://host/a b", "space");
  refuses("http://host/a\r\nX: y", "control");
}
