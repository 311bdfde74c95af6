#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

namespace plumb {

using Catch::Matchers::Contains;

TEST_CASE("calibrate: fits F to the run's responses and keeps the fit", "[e2e][r3]") {
  test::TempDir dir;
  test::write_tiny_policy(dir / "policy");
  test::write_tiny_prompts(dir / "prompts.jsonl", 12);
  test::write_tiny_config(dir / "tiny.ini", dir.path());
  const std::string config = (dir / "tiny.ini").string();
  const std::string mean = "--r3.mean_vec=" + (dir / "mean.safetensors").string();
  const std::vector<std::string> hidden{"--r3.backend=lm_hidden", "--r3.lm=initial"};
  const auto with = [&](const std::string& command, std::vector<std::string> more) {
    more.insert(more.begin(), {command, config, "--run.iterations=1"});
    return test::run_plumb(dir, more);
  };
  CHECK(with("calibrate", {}).code == 3);  // nothing sampled yet
  const auto run = with("run", {hidden[0], hidden[1], "--r3.qtype_source=column, lm",
                                "--r3.qtype_model=initial", "--r3.qtype_instruction=Which?"});
  INFO(run.err);
  REQUIRE(run.code == 0);

  // The options of R^3 may differ from the run's: calibration comes before the run that uses it.
  const auto fit = with("calibrate", {hidden[0], hidden[1], mean});
  INFO(fit.err);
  REQUIRE(fit.code == 0);
  CHECK_THAT(fit.out, Contains("[r3]\nclosed_in = 0, "));
  CHECK_THAT(fit.out, Contains("closed_out_end = 0.24"));  // 24 tokens at most
  CHECK(std::filesystem::exists(dir / "mean.safetensors"));
  const auto events = test::run_plumb(
      dir, {"sql", (dir / "run" / "run.db").string(),
            "SELECT json_extract(data, '$.measured') AS n, json_extract(data, '$.closed_in[1]') "
            "AS high, length(json_extract(data, '$.content_hash')) AS hash FROM events WHERE "
            "kind='calibrate'",
            "--format=json"});
  const auto rows = nlohmann::json::parse(events.out);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0]["n"].get<int>() > 2);
  CHECK(rows[0]["hash"] == 64 + 1 + 64);  // model and mean
}

}  // namespace plumb
