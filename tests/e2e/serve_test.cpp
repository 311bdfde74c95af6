#include <cmath>
#include <future>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "core/files.hpp"
#include "rewards/registry.hpp"
#include "service/http_client.hpp"
#include "support/files.hpp"
#include "support/process.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

/// `plumb serve` with real modules against the same modules in this process.

using namespace plumb;
using nlohmann::json;
using test::Answer;
using test::Client;

namespace {

std::vector<RewardSample> made_samples(std::size_t count) {
  const std::vector<std::string> words{"the",   "river", "apples", "are",   "often", "red",
                                       "green", "and",   "bridge", "seven", "runs",  "sweet"};
  std::mt19937 random(7);
  const auto text = [&](std::size_t longest) {
    std::string out;
    for (std::size_t i = 1 + random() % longest; i > 0; --i)
      out += words[random() % words.size()] + (i > 1 ? " " : ".");
    return out;
  };
  std::vector<RewardSample> samples(count);
  for (std::size_t i = 0; i < count; ++i) {
    samples[i].messages = {{"user", text(20)}};
    samples[i].response = text(i % 10 == 0 ? 150 : 30);
    if (i % 3 == 0) samples[i].reference = text(20);
  }
  return samples;
}

json to_json(const RewardSample& sample) {
  json out{{"prompt", sample.messages[0].content}, {"response", sample.response}};
  if (sample.reference) out["reference_answer"] = *sample.reference;
  return out;
}

/// The port that the log names, once the service is ready.
std::uint16_t port_of(test::Process& process) {
  const std::string mark = "listening on 127.0.0.1:";
  for (int i = 0; i < 1200 && process.running(); ++i) {
    const std::string log = process.errors();
    if (const auto at = log.find(mark);
        at != std::string::npos && log.find("ready") != std::string::npos)
      return static_cast<std::uint16_t>(std::stoi(log.substr(at + mark.size())));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  FAIL("the service is not ready: " << process.errors());
  return 0;
}

}  // namespace

TEST_CASE("served scores equal those of the modules in this process, in any company",
          "[e2e][model]") {
  const std::string encoder = test::model_path("all-minilm-l6-v2").string();
  const std::vector<std::string> names{"r3", "length", "repetition"};
  const std::vector<RewardSample> samples = made_samples(60);
  OptionValues values;
  values.set("r3.encoder", encoder, "test");
  RewardContext context;
  std::vector<std::vector<Score>> expected;
  for (const std::string& name : names)
    expected.push_back(make_reward(name, values, context)->score(samples));

  const test::TempDir folder;
  test::Process process(
      folder, {"serve", "--serve.port=0", "--serve.modules=r3,length,repetition",
               "--r3.encoder=" + encoder, "--serve.cache_mb=0", "--serve.max_batch_tokens=300",
               "--serve.store=" + (folder / "scores.db").string()});
  const std::uint16_t port = port_of(process);
  std::vector<std::future<double>> clients;
  for (std::size_t c = 0; c < 4; ++c) {
    clients.push_back(std::async(std::launch::async, [&, c] {
      Client client(port);
      double worst = 0;
      for (std::size_t begin = c, n = 1; begin < samples.size(); begin += n, n = 1 + (n + c) % 9) {
        const std::size_t end = std::min(samples.size(), begin + n);
        json request{{"modules", names}, {"samples", json::array()}};
        for (std::size_t i = begin; i < end; ++i) request["samples"].push_back(to_json(samples[i]));
        const json reply = client.post("/v1/rewards", request).json();
        for (std::size_t i = begin; i < end; ++i) {
          for (std::size_t m = 0; m < names.size(); ++m) {
            const json& served = reply["data"][i - begin]["modules"][names[m]]["score"];
            const Score& own = expected[m][i];
            if (served.is_null() || !own.value) {
              worst = std::max(worst, served.is_null() && !own.value ? 0.0 : 1.0);
            } else {
              worst = std::max(worst, std::abs(served.get<double>() - *own.value));
            }
          }
        }
      }
      return worst;
    }));
  }
  for (auto& client : clients) CHECK(client.get() <= 1e-5);
  ::kill(process.pid(), SIGTERM);
  CHECK(process.wait() == 0);
  const test::TempDir query;
  test::Process sql(query, {"sql", (folder / "scores.db").string(),
                            "SELECT count(DISTINCT sample_id) FROM rewards", "--format=csv"});
  CHECK(sql.wait() == 0);
  CHECK(sql.output().find("60") != std::string::npos);
}

TEST_CASE("a reload reads serve.store again", "[e2e]") {
  const test::TempDir folder;
  test::Process process(folder, {"serve", "--serve.port=0", "--serve.modules=length",
                                 "--serve.store=" + (folder / "scores.db").string()});
  const std::uint16_t port = port_of(process);
  const auto score = [&](const std::string& response) {
    return Client(port)
        .post("/v1/rewards", {{"samples", {{{"prompt", "p"}, {"response", response}}}}})
        .json()["data"][0]["score"];
  };
  const json first = score("one two"), second = score("three");
  CHECK(Client(port).request("POST", "/v1/reload").status == 200);
  CHECK(process.errors().find("2 scores of ") != std::string::npos);
  CHECK(score("one two") == first);
  CHECK(score("three four").is_number());
  ::kill(process.pid(), SIGTERM);
  CHECK(process.wait() == 0);
}

TEST_CASE("a guide steers served completions; their log-probs are the policy's own", "[e2e]") {
  const test::TempDir folder;
  test::write_tiny_policy(folder / "policy");
  test::write_tiny_policy(folder / "guide", 5, test::narrow_policy_config());
  const std::string policy = (folder / "policy").string();
  const std::string guide = (folder / "guide").string() + ":4";
  const auto generated = [&](const std::vector<std::string>& more) {
    const test::TempDir place;
    std::vector<std::string> arguments{"generate",       "--model=" + policy,
                                       "--prompt=hello", "--temperature=0",
                                       "--json",         "--max_new_tokens=12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return json::parse(test::run_plumb(place, arguments).out);
  };
  const json steered = generated({"--guide=" + guide}), plain = generated({});
  REQUIRE(steered["ids"] != plain["ids"]);

  test::Process process(folder, {"serve", "--serve.port=0", "--serve.modules=",
                                 "--serve.policy=" + policy, "--guide.models=" + guide});
  Client client(port_of(process));
  const json chat =
      client
          .post("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "hello"}}}},
                                         {"temperature", 0},
                                         {"max_tokens", 12},
                                         {"logprobs", true},
                                         {"return_tokens_as_token_ids", true}})
          .json();
  INFO(chat);
  const json& tokens = chat["choices"][0]["logprobs"]["content"];
  REQUIRE(tokens.size() == steered["ids"].size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    CHECK(tokens[i]["token"] == "token_id:" + steered["ids"][i].dump());
    CHECK(std::abs(tokens[i]["logprob"].get<double>() - steered["logp_policy"][i].get<double>()) <
          1e-5);
  }
  // Ids alone: policy and guide read the same prompt.
  const std::vector<int> prompt{20, 30, 40};
  const json answer = client
                          .post("/v1/completions", {{"prompt", prompt},
                                                    {"max_tokens", 8},
                                                    {"seed", 1},
                                                    {"logprobs", 0},
                                                    {"return_tokens_as_token_ids", true}})
                          .json()["choices"][0]["logprobs"];
  std::vector<int> all = prompt;
  for (const json& token : answer["tokens"])
    all.push_back(std::stoi(token.get<std::string>().substr(sizeof "token_id:" - 1)));
  const json scored =
      client
          .post("/v1/completions",
                {{"prompt", all}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 0}})
          .json()["choices"][0]["logprobs"]["token_logprobs"];
  for (std::size_t i = 0; i < answer["tokens"].size(); ++i)
    CHECK(std::abs(answer["token_logprobs"][i].get<double>() -
                   scored[prompt.size() + i].get<double>()) < 1e-5);
  ::kill(process.pid(), SIGTERM);
  CHECK(process.wait() == 0);
}

TEST_CASE("served log-probs of responses and labels are those of `plumb logprobs`", "[e2e]") {
  const test::TempDir folder;
  test::write_tiny_policy(folder / "policy");
  const std::string policy = (folder / "policy").string();
  const auto logprobs = [&](const json& line) {
    const test::TempDir place;
    const auto done = test::run_plumb(place, {"logprobs", "--model=" + policy}, line.dump() + "\n");
    INFO(done.err);
    REQUIRE(done.code == 0);
    return json::parse(done.out)["token_logprobs"];
  };
  const auto close = [](const json& a, const json& b) {
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i)
      CHECK(std::abs(a[i].get<double>() - b[i].get<double>()) < 1e-5);
  };
  test::Process process(
      folder, {"serve", "--serve.port=0", "--serve.modules=length", "--serve.policy=" + policy});
  Client client(port_of(process));
  const auto sample = [](bool finished) {
    return json{{"prompt", "hello"}, {"response", "you"}, {"finished", finished}};
  };
  const json data = client
                        .post("/v1/rewards", {{"samples", {sample(false), sample(true)}},
                                              {"return", {"logprobs"}}})
                        .json()["data"];
  close(data[0]["logprobs"], logprobs({{"prompt", "hello"}, {"response", "you"}}));
  CHECK(data[0]["response_token_ids"].size() == 3);
  CHECK(data[1]["response_token_ids"].size() == 4);
  CHECK(data[1]["response_token_ids"][3] == 2);  // <|im_end|>
  CHECK(data[0]["score"].is_number());

  const std::vector<int> prompt{20, 30, 40, 50};
  const json labels =
      client
          .post("/v1/score",
                {{"query", {20, 30}}, {"items", {{40, 50}}}, {"label_token_ids", {60, 70}}})
          .json()["scores"][0];
  for (std::size_t i = 0; i < 2; ++i) {
    const json own = logprobs({{"prompt_ids", prompt}, {"response_ids", {i == 0 ? 60 : 70}}});
    CHECK(std::abs(std::log(labels[i].get<double>()) - own[0].get<double>()) < 1e-5);
  }
  ::kill(process.pid(), SIGTERM);
  CHECK(process.wait() == 0);
}

TEST_CASE("a served completion is the same alone, beside others, and streamed", "[e2e]") {
  const test::TempDir folder;
  test::write_tiny_policy(folder / "policy");
  test::Process process(folder, {"serve", "--serve.port=0", "--serve.modules=",
                                 "--serve.policy=" + (folder / "policy").string()});
  const std::uint16_t port = port_of(process);
  const auto body_of = [](int i) {
    return json{{"prompt", std::string(static_cast<std::size_t>(1 + 7 * i), 'a' + i)},
                {"max_tokens", 10 + 5 * i},
                {"temperature", i == 3 ? 0.0 : 0.6 + 0.1 * i},
                {"top_k", i % 2 == 0 ? 0 : 40},
                {"n", 1 + i % 3},
                {"seed", i},
                {"logprobs", i % 4},
                {"stop", i == 5 ? json{"e"} : json::array()}};
  };
  const auto choices = [&](const json& body) {
    return Client(port).post("/v1/completions", body).json()["choices"];
  };
  std::vector<json> alone;
  for (int i = 0; i < 8; ++i) alone.push_back(choices(body_of(i)));
  std::vector<std::future<json>> together;
  for (int i = 0; i < 8; ++i)
    together.push_back(std::async(std::launch::async, [&, i] { return choices(body_of(i)); }));
  for (int i = 0; i < 8; ++i)
    CHECK(together[static_cast<std::size_t>(i)].get() == alone[static_cast<std::size_t>(i)]);

  json streamed = body_of(7);
  streamed["stream"] = true;
  std::istringstream events(Client(port).post("/v1/completions", streamed).body);
  std::map<std::size_t, json> sums;
  std::map<std::size_t, std::string> texts;
  for (std::string line; std::getline(events, line);) {
    if (!line.starts_with("data: {")) continue;
    const json chunk = json::parse(line.substr(6));
    const json& choice = chunk["choices"][0];
    texts[choice["index"]] += choice["text"];
    if (choice["logprobs"].is_null()) continue;
    for (const auto& [name, values] : choice["logprobs"].items()) {
      for (const json& value : values) sums[choice["index"]][name].push_back(value);
    }
  }
  REQUIRE(sums.size() == alone[7].size());
  for (std::size_t i = 0; i < sums.size(); ++i) {
    CHECK(sums[i] == alone[7][i]["logprobs"]);
    CHECK(texts[i] == alone[7][i]["text"]);
  }
  ::kill(process.pid(), SIGTERM);
  CHECK(process.wait() == 0);
}

TEST_CASE("what cannot be served is refused at the start", "[e2e]") {
  const auto run = [](const std::vector<std::string>& more) {
    const test::TempDir folder;
    std::vector<std::string> arguments{"serve", "--serve.port=0", "--serve.key_env="};
    arguments.insert(arguments.end(), more.begin(), more.end());
    test::Process process(folder, arguments);
    const int code = process.wait();
    return std::pair(code, process.errors());
  };
  CHECK(run({"--serve.host=0.0.0.0"}).first == 2);
  CHECK(run({"--serve.modules=nothing"}).first == 2);
  CHECK(run({"--r3.encoder=/nowhere"}).first == 3);
  CHECK(run({"--serve.modules="}).first == 2);
  CHECK(run({"--serve.port=700000"}).first == 2);

  const test::TempDir models;
  test::write_tiny_policy(models / "policy");
  test::write_tiny_policy(models / "guide");
  const std::string policy = (models / "policy").string(), guide = (models / "guide").string();
  const auto alone = run({"--serve.modules=length", "--guide.models=" + guide});
  CHECK(alone.first == 2);
  CHECK(alone.second.find("set serve.policy") != std::string::npos);
  const auto steered = [&](const std::string& by) {
    return run({"--serve.modules=", "--serve.policy=" + policy, "--guide.models=" + by});
  };
  CHECK(steered((models / "nowhere").string()).first == 3);
  CHECK(steered(":2").first == 2);
  std::string tokenizer = read_file(models / "guide" / "tokenizer.json", 1 << 20);
  for (std::size_t at; (at = tokenizer.find("im_start")) != std::string::npos;)
    tokenizer.replace(at, 8, "im_begin");
  std::ofstream(models / "guide" / "tokenizer.json") << tokenizer;
  const auto stranger = steered(guide);
  CHECK(stranger.first == 2);
  CHECK(stranger.second.find("a guide must share the base model's tokenizer") != std::string::npos);
}
