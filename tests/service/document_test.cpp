#include <fstream>
#include <set>

#include "service/fake_policy.hpp"
#include "service/routes.hpp"
#include "service/test_server.hpp"

#include "support/catch.hpp"

/// docs/service.md against the service: its curl lines work, and no route is left out.

using namespace plumb;
using test::Answer;
using test::Client;

namespace {

/// What a curl line asks for, as curl itself would send it.
struct CurlLine {
  std::string text, method = "GET", path, body, headers;
};

/// The words of a shell command; single quotes are the only quoting.
std::vector<std::string> shell_words(const std::string& line) {
  std::vector<std::string> words;
  bool open = false, in_word = false;
  for (const char c : line) {
    if (c == '\'') {
      open = !open;
      if (!in_word) words.emplace_back();
      in_word = true;
    } else if (c == ' ' && !open) {
      in_word = false;
    } else {
      if (!in_word) words.emplace_back();
      in_word = true;
      words.back() += c;
    }
  }
  REQUIRE_FALSE(open);
  return words;
}

CurlLine read_curl(const std::string& line) {
  CurlLine curl;
  curl.text = line;
  const std::vector<std::string> words = shell_words(line);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string host = "localhost:8000";
    if (words[i] == "-N") continue;
    if (words[i] == "-X") {
      curl.method = words.at(++i);
    } else if (words[i] == "-H") {
      curl.headers += words.at(++i) + "\r\n";
    } else if (words[i] == "--json") {
      if (curl.method == "GET") curl.method = "POST";
      curl.headers += "Content-Type: application/json\r\nAccept: application/json\r\n";
      curl.body = words.at(++i);
    } else {
      INFO("word " << words[i]);
      REQUIRE(words[i].starts_with(host));
      curl.path = words[i].substr(host.size());
    }
  }
  return curl;
}

std::string document() {
  std::ifstream in(std::string(PLUMB_SOURCE_DIR) + "/docs/service.md");
  REQUIRE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<CurlLine> curl_lines() {
  std::istringstream in(document());
  std::vector<CurlLine> found;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("curl ")) found.push_back(read_curl(line));
  }
  return found;
}

/// A server with the modules of configs/serve.ini by name and a policy, all fake.
service::Service::Loader documented_models() {
  return [] {
    auto models = std::make_shared<service::ServedModels>();
    for (const char* name : {"r3", "length", "repetition"})
      models->modules.push_back(
          {name, std::make_shared<test::FakeReward>(name, test::FakeOptions{}), name});
    models->serve_policy(std::make_shared<test::FakePolicy>());
    models->tokenizer = {models->policy, &models->policy->tokenizer()};
    return models;
  };
}

}  // namespace

TEST_CASE("every curl line of docs/service.md is answered", "[service][unit]") {
  service::ServeOptions options;
  options.route_scalar = {"/reward"};
  test::ReadyServer server(options, test::FakeOptions{}, std::vector<std::string>{},
                           documented_models());
  const std::vector<CurlLine> lines = curl_lines();
  CHECK(lines.size() > 40);
  for (const CurlLine& line : lines) {
    INFO(line.text);
    Client client(server.port());
    const Answer answer = client.request(line.method, line.path, line.body, line.headers);
    INFO(answer.body);
    CHECK(answer.status == 200);
    const auto found = answer.headers.find("content-type");
    const std::string type = found == answer.headers.end() ? "" : found->second;
    if (type == "application/json" && !answer.body.empty())
      CHECK_NOTHROW(nlohmann::json::parse(answer.body));
    if (line.body.find("\"stream\":true") != std::string::npos) {
      CHECK(type == "text/event-stream");
      CHECK(answer.body.ends_with("data: [DONE]\n\n"));
    }
  }
}

TEST_CASE("docs/service.md has a curl line for every route", "[service][unit]") {
  std::set<std::string> documented;
  for (const CurlLine& line : curl_lines()) documented.insert(line.method + " " + line.path);
  for (const service::Route& route : service::post_routes()) {
    INFO(route.path);
    CHECK(documented.contains("POST " + route.path));
  }
  for (const char* path : {"/health", "/live", "/ready", "/ping", "/metrics", "/info", "/v1/models",
                           "/tokenizer_info", "/v2", "/v2/health/live", "/v2/health/ready"}) {
    INFO(path);
    CHECK(service::is_information_route(path));
    CHECK(documented.contains(std::string("GET ") + path));
  }
  CHECK(documented.contains(std::string("POST ") + service::kReloadRoute));
}
