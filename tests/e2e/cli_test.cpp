#include <cstdlib>
#include <fstream>

#include "core/files.hpp"
#include "support/process.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

using Catch::Matchers::Contains;

TEST_CASE("cli: help, version and lists answer on standard output", "[e2e]") {
  test::TempDir dir;
  CHECK_THAT(test::run_plumb(dir, {"--help"}).out, Contains("usage: plumb COMMAND"));
  CHECK_THAT(test::run_plumb(dir, {"--version"}).out, Contains("plumb 0."));
  CHECK_THAT(test::run_plumb(dir, {"run", "--help"}).out, Contains("--train.learning_rate"));
  CHECK_THAT(test::run_plumb(dir, {"list", "losses"}).out, Contains("dpo"));
  CHECK_THAT(test::run_plumb(dir, {"list", "rewards"}).out, Contains("r3"));
  CHECK_THAT(test::run_plumb(dir, {"list", "templates"}).out, Contains("smollm2"));
  CHECK_THAT(test::run_plumb(dir, {"list", "queries"}).out, Contains("@best_worst"));
  CHECK(test::run_plumb(dir, {"doctor"}).code == 0);
}

TEST_CASE("cli: threads wait for a short time unless the environment says otherwise", "[e2e]") {
  test::TempDir dir;
  const auto waiting = [&](const std::string& settings) {
    const std::string command = "env -u GOMP_SPINCOUNT -u OMP_WAIT_POLICY " + settings + " " +
                                std::string(PLUMB_BINARY_DIR) + "/plumb doctor > " +
                                (dir / "out").string();
    REQUIRE(std::system(command.c_str()) == 0);
    return read_file(dir / "out");
  };
  CHECK_THAT(waiting(""), Contains("waiting: GOMP_SPINCOUNT=20000"));
  CHECK_THAT(waiting("OMP_WAIT_POLICY=passive"), Contains("waiting: OMP_WAIT_POLICY=passive"));
}

TEST_CASE("cli: mistakes of the user exit with 2 and name the way out", "[e2e]") {
  test::TempDir dir;
  const auto typo = test::run_plumb(dir, {"rum"});
  CHECK(typo.code == 2);
  CHECK_THAT(typo.err, Contains("did you mean 'run'"));
  CHECK(test::run_plumb(dir, {"run"}).code == 2);
  std::ofstream(dir / "a.ini") << "[train]\nlerning_rate = 1\n";
  const auto unknown = test::run_plumb(dir, {"run", (dir / "a.ini").string()});
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, Contains("did you mean 'train.learning_rate'"));
  CHECK(test::run_plumb(dir, {"generate"}).code == 2);
  CHECK(test::run_plumb(dir, {"list", "nothing"}).code == 2);
  CHECK(test::run_plumb(dir, {"sql"}).code == 2);
}

TEST_CASE("cli: unusable data exits with 3", "[e2e]") {
  test::TempDir dir;
  CHECK(test::run_plumb(dir, {"run", (dir / "missing.ini").string()}).code == 3);
  CHECK(test::run_plumb(dir, {"generate", "--model=" + (dir / "nowhere").string(), "--prompt=x"})
            .code == 3);
  CHECK(test::run_plumb(dir, {"sql", (dir / "nowhere.db").string()}).code == 3);
  std::ofstream(dir / "junk.db")
      << "this is no database, but it is long enough to be looked at as one";
  CHECK(test::run_plumb(dir, {"sql", (dir / "junk.db").string(), "SELECT 1"}).code == 3);
  std::ofstream(dir / "broken.gguf") << "GGUF";
  const auto broken =
      test::run_plumb(dir, {"generate", "--model=" + (dir / "broken.gguf").string(), "--prompt=x"});
  CHECK(broken.code == 3);
  CHECK_THAT(broken.err, Contains("broken.gguf"));
}

TEST_CASE("cli: the commands on one model", "[e2e]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  const std::string model = "--model=" + (dir / "policy").string();
  const auto tokens =
      test::run_plumb(dir, {"tokenize", model},
                      "hi\n{\"text\": \"<|im_end|>\"}\n{\"messages\": [{\"role\": \"user\", "
                      "\"content\": \"hi\"}]}\n");
  REQUIRE(tokens.code == 0);
  std::istringstream lines(tokens.out);
  std::string line;
  REQUIRE(std::getline(lines, line));
  // Byte b has id 3 + b in the test tokenizer.
  CHECK(nlohmann::json::parse(line).at("ids") == nlohmann::json({3 + 'h', 3 + 'i'}));
  REQUIRE(std::getline(lines, line));
  CHECK(nlohmann::json::parse(line).at("ids").size() == 10);  // special text in data stays text
  REQUIRE(std::getline(lines, line));
  CHECK(nlohmann::json::parse(line).at("ids").front() == 1);

  const auto logps =
      test::run_plumb(dir, {"logprobs", model, "--dtype=float32"},
                      "{\"prompt_ids\": [5, 6], \"response_ids\": [7, 8, 9]}\n{\"prompt\": "
                      "\"a\", \"response\": \"bc\"}\n");
  REQUIRE(logps.code == 0);
  std::istringstream rows(logps.out);
  REQUIRE(std::getline(rows, line));
  CHECK(nlohmann::json::parse(line).at("token_logprobs").size() == 3);
  CHECK(nlohmann::json::parse(line).at("sum").get<double>() < 0.0);
  CHECK(
      test::run_plumb(dir, {"logprobs", model}, "{\"prompt_ids\": [5], \"response_ids\": [259]}\n")
          .code == 3);
  CHECK(test::run_plumb(dir, {"logprobs", model}, "nonsense\n").code == 3);

  const auto first = test::run_plumb(
      dir, {"generate", model, "--prompt=hello", "--max_new_tokens=8", "--samples=2", "--json"});
  REQUIRE(first.code == 0);
  CHECK(first.out == test::run_plumb(dir, {"generate", model, "--prompt=hello",
                                           "--max_new_tokens=8", "--samples=2", "--json"})
                         .out);
  CHECK(std::count(first.out.begin(), first.out.end(), '\n') == 2);
}

TEST_CASE("cli: generate with guides", "[e2e]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  test::write_tiny_policy(dir / "guide", 5, test::narrow_policy_config());
  const std::string guide = (dir / "guide").string();
  const auto generate = [&](const std::string& guides) {
    std::vector<std::string> arguments{"generate",       "--model", (dir / "policy").string(),
                                       "--prompt=hello", "--json",  "--max_new_tokens=12"};
    if (!guides.empty()) arguments.push_back("--guide=" + guides);
    return test::run_plumb(dir, arguments);
  };
  const auto plain = generate(""), weightless = generate(guide + ":0");
  INFO(weightless.err);
  REQUIRE(weightless.code == 0);
  CHECK(nlohmann::json::parse(weightless.out).at("ids") ==
        nlohmann::json::parse(plain.out).at("ids"));
  // Two guides of half the weight are one of the whole.
  const auto whole = generate(guide + ":4"), halves = generate(guide + ":2," + guide + ":2");
  CHECK(nlohmann::json::parse(whole.out).at("ids") == nlohmann::json::parse(halves.out).at("ids"));
  CHECK(nlohmann::json::parse(whole.out).at("ids") != nlohmann::json::parse(plain.out).at("ids"));
  CHECK(nlohmann::json::parse(whole.out).at("logp_policy") !=
        nlohmann::json::parse(whole.out).at("logp_sampling"));
  CHECK(generate(":2").code == 2);
  CHECK(generate((dir / "nowhere").string()).code == 3);
}

TEST_CASE("cli: import a preference file, then train any loss from the database alone", "[e2e]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  test::write_tiny_pairs(dir / "pairs.jsonl", 12);
  std::ofstream(dir / "pairs.jsonl", std::ios::app) << "{bad\n";
  const std::string file = (dir / "pairs.jsonl").string(), db = (dir / "run/run.db").string();
  const auto import = [&] {
    return test::run_plumb(dir, {"import", file, "--db", db, "--model", (dir / "policy").string(),
                                 "--data.heldout=2"});
  };
  const auto first = import();
  CHECK_THAT(first.err, Contains("pairs.jsonl:13: left out: bad_json"));
  const auto early = test::run_plumb(dir, {"annotate", "--db", db});
  CHECK(early.code == 2);
  CHECK_THAT(early.err, Contains("iteration 0 is the initial policy") && Contains("plumb eval"));
  const auto ahead = test::run_plumb(dir, {"eval", "--db", db, "--iteration=3"});
  CHECK(ahead.code == 2);
  CHECK_THAT(ahead.err, Contains("iteration 3: the one before it has not ended yet"));
  INFO(first.err);
  REQUIRE(first.code == 0);
  CHECK_THAT(first.out, Contains("heldout-pairs") && Contains("1 rows were not used"));
  const auto contents = [&] {
    return test::run_plumb(dir,
                           {"sql", db,
                            "SELECT (SELECT count(*) FROM samples), (SELECT count(*) FROM pairs), "
                            "(SELECT count(*) FROM rejected_rows), (SELECT count(*) FROM runs)",
                            "--format=csv"})
        .out;
  };
  const std::string before = contents();
  CHECK_THAT(before, Contains("18,12,1,1"));
  REQUIRE(import().code == 0);
  CHECK(contents() == before);

  const auto loss = "--loss.name=simpo";
  for (const char* phase : {"eval", "rollout", "score", "pair", "annotate", "train", "eval"}) {
    const auto done = test::run_plumb(dir, {phase, "--db", db, loss, "--train.batch_size=4"});
    INFO(phase << ": " << done.err);
    REQUIRE(done.code == 0);
  }
  CHECK_THAT(test::run_plumb(dir, {"sql", db, "SELECT loss FROM runs", "--format=csv"}).out,
             Contains("simpo"));
  CHECK_THAT(test::run_plumb(dir, {"eval", "--db", db}).out, Contains("S_w > S_l"));

  CHECK(test::run_plumb(dir, {"import", file}).code == 2);
  CHECK(test::run_plumb(dir, {"import", "--db", db}).code == 2);
  CHECK(test::run_plumb(dir, {"import", file, "--db", (dir / "other/run.db").string()}).code == 2);
  CHECK(test::run_plumb(dir, {"import", (dir / "nowhere.jsonl").string(), "--db", db}).code == 3);
  CHECK(test::run_plumb(dir, {"train", "--db", (dir / "nowhere/run.db").string()}).code == 3);
}

TEST_CASE("cli: phases one by one, without held-out prompts", "[e2e]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  test::write_tiny_prompts(dir / "prompts.jsonl", 4);
  test::write_tiny_config(dir / "tiny.ini", dir.path());
  for (const char* phase : {"eval", "rollout", "score", "pair", "annotate", "train", "eval"}) {
    const auto done = test::run_plumb(
        dir, {phase, (dir / "tiny.ini").string(), "--data.heldout=0", "--run.iterations=1"});
    INFO(phase << ": " << done.err);
    REQUIRE(done.code == 0);
  }
}

TEST_CASE("cli: --dump-config reads back to the same config", "[e2e]") {
  test::TempDir dir;
  test::write_tiny_config(dir / "tiny.ini", dir.path());
  const auto dump =
      test::run_plumb(dir, {"run", (dir / "tiny.ini").string(), "--dpo.beta=0.2", "--dump-config"});
  REQUIRE(dump.code == 0);
  std::ofstream(dir / "again.ini") << dump.out;
  const auto again = test::run_plumb(dir, {"run", (dir / "again.ini").string(), "--dump-config"});
  REQUIRE(again.code == 0);
  const auto without_origins = [](std::string text) {
    std::string out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out += line.substr(0, line.find("  # ")) + "\n";
    return out;
  };
  CHECK(without_origins(again.out) == without_origins(dump.out));
  CHECK_THAT(dump.out, Contains("beta = 0.2  # command line"));
}

}  // namespace
}  // namespace plumb
