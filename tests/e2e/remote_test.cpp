#include <atomic>

#include "store/database.hpp"
#include "support/fake_http_server.hpp"
#include "support/process.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

/// `plumb score --url`: a reward server beside the modules of the config.

namespace plumb {
namespace {

using nlohmann::json;

/// Every second response gets a score, the others a reason.
test::HttpAnswer answer(const test::HttpRequestSeen& request) {
  static std::atomic<int> asked{0};
  if (request.method == "GET")
    return {200, R"({"data":[{"id":"judge","reward":{"fingerprint":"v7","unit":"points"}}]})"};
  json data = json::array();
  const json body = json::parse(request.body);
  for (std::size_t i = 0; i < body["samples"].size(); ++i)
    data.push_back(asked++ % 2 == 0
                       ? json{{"index", i}, {"score", 0.25}}
                       : json{{"index", i}, {"score", nullptr}, {"error", "not judged"}});
  return {200, json{{"data", data}}.dump()};
}

}  // namespace

TEST_CASE("score --url stores a server's scores, and its reasons where there is none", "[e2e]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  test::write_tiny_prompts(dir / "prompts.jsonl", 8);
  test::write_tiny_config(dir / "tiny.ini", dir.path());
  const std::string config = (dir / "tiny.ini").string();
  for (const char* phase : {"eval", "rollout"})
    REQUIRE(test::run_plumb(dir, {phase, config}).code == 0);
  const auto run_score = [&](const std::string& url) {
    return test::run_plumb(dir, {"score", config, "--url", url, "--remote.attempts=1"});
  };
  CHECK(run_score("https://127.0.0.1:1").code == 2);
  CHECK(run_score("http://127.0.0.1:1").code == 3);

  const test::FakeHttpServer server(answer);
  const auto scored = run_score(server.url());
  INFO(scored.err);
  REQUIRE(scored.code == 0);
  std::filesystem::path file;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    if (entry.path().filename() == "run.db") file = entry.path();
  }
  const auto count = [&](const std::string& condition) {
    return test::run_plumb(
               dir, {"sql", file.string(),
                     "SELECT count(*) AS n FROM rewards r JOIN reward_modules m USING(module_id) "
                     "WHERE m.name='remote' AND " +
                         condition,
                     "--format=csv"})
        .out;
  };
  const std::string judged = count("r.score=0.25 AND r.error IS NULL");
  CHECK(judged != "n\n0\n");
  CHECK(judged == count("r.score IS NULL AND r.error='not judged'"));
  CHECK(count("m.config->>'$.content_hash'='judge@v7'") != "n\n0\n");
}

}  // namespace plumb
