#include "service/access.hpp"

#include <cstdlib>
#include <fstream>

#include "core/base64.hpp"
#include "core/error.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::service;

TEST_CASE("a key is accepted as Bearer and as the password of Basic, and nothing else is",
          "[service][unit]") {
  const Access access({"first-key-123", "second-key-456"});
  CHECK(access.allows("Bearer first-key-123"));
  CHECK(access.allows("bearer second-key-456"));
  CHECK(access.allows("Basic " + encode_base64("anyone:first-key-123")));
  CHECK_FALSE(access.allows("Basic " + encode_base64("first-key-123:")));
  CHECK_FALSE(access.allows("Basic " + encode_base64("first-key-123")));
  CHECK_FALSE(access.allows("Basic !!!"));
  CHECK_FALSE(access.allows("Bearer first-key-12"));
  CHECK_FALSE(access.allows("Bearer first-key-1234"));
  CHECK_FALSE(access.allows("Bearer "));
  CHECK_FALSE(access.allows("first-key-123"));
  CHECK_FALSE(access.allows(""));
  CHECK(Access({}).allows(""));
}

TEST_CASE("a public address needs a key unless told otherwise", "[service][unit]") {
  ServeOptions options;
  options.key_env = "PLUMB_TEST_KEY";
  unsetenv("PLUMB_TEST_KEY");
  CHECK(Access::load(options).is_open());
  for (const char* host : {"0.0.0.0", "::", "192.168.0.7", "127.0.0.1.example.org"}) {
    options.host = host;
    CHECK_THROWS_AS(Access::load(options), UsageError);
  }
  options.insecure = true;
  CHECK(Access::load(options).is_open());
  options.insecure = false;
  setenv("PLUMB_TEST_KEY", "from-the-environment", 1);
  CHECK(Access::load(options).allows("Bearer from-the-environment"));
  setenv("PLUMB_TEST_KEY", "short", 1);
  CHECK_THROWS_AS(Access::load(options), UsageError);
  unsetenv("PLUMB_TEST_KEY");

  const test::TempDir folder;
  std::ofstream(folder / "keys") << "# people\nkey-of-anna\n\n  key-of-ben  \n";
  options.key_file = (folder / "keys").string();
  const Access access = Access::load(options);
  CHECK(access.allows("Bearer key-of-anna"));
  CHECK(access.allows("Bearer key-of-ben"));
  CHECK_FALSE(access.allows("Bearer # people"));
  std::ofstream(folder / "keys") << "# nobody\n";
  CHECK_THROWS_AS(Access::load(options), UsageError);
}

TEST_CASE("base64 follows the vectors of RFC 4648", "[service][unit]") {
  const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(encode_base64(bytes) == text);
    CHECK(decode_base64(text) == bytes);
  }
  CHECK_FALSE(decode_base64("Zm9*").has_value());
}
