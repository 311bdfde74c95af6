#include <chrono>
#include <functional>
#include <map>
#include <thread>

#include "core/hash.hpp"
#include "store/database.hpp"
#include "support/process.hpp"
#include "support/tiny_policy.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

/// Every row of a run but the clock's: times, durations and memory.
std::map<std::string, std::string> digest(const std::filesystem::path& run) {
  static const std::vector<std::pair<std::string, std::string>> tables{
      {"runs", "name, status, seed, tool_version"},
      {"checkpoints",
       "checkpoint_id, role, path, sha256, bytes, global_step, parent_checkpoint_id"},
      {"iterations",
       "iteration_id, idx, phase, policy_checkpoint_id, ref_checkpoint_id, result_checkpoint_id, "
       "sampling"},
      {"prompts",
       "prompt_id, hex(sha256), dataset, split, external_id, category, n_tokens, reference_answer, "
       "messages, text"},
      {"run_prompts", "*"},
      {"samples",
       "sample_id, iteration_id, suite, prompt_id, k, seed, source, finish_reason, n_tokens, "
       "logp_policy, text_hash, text"},
      {"sample_tokens", "sample_id, hex(ids), hex(logp_policy), hex(logp_sampling)"},
      {"rewards", "sample_id, module_id, score, raw, components, error"},
      {"reward_modules", "module_id, name, version, config"},
      {"rankings", "*"},
      {"consistency", "*"},
      {"reference_logps", "sample_id, checkpoint_id, total, hex(vals)"},
      {"pair_sets", "pair_set_id, iteration_id, name, strategy, module_id, config"},
      {"pairs", "*"},
      {"pair_skips", "*"},
      {"prompt_filter", "*"},
      {"steps", "step_id, iteration_id, global_step, epoch, lr, loss, grad_norm, tokens"},
      {"step_metrics", "*"},
      {"step_pairs", "*"},
      {"evaluations",
       "evaluation_id, iteration_id, checkpoint_id, suite, metric, value, ci_low, ci_high, n"}};
  std::map<std::string, std::string> out;
  const store::Database db = store::Database::open_reader(run / "run.db");
  for (const auto& [table, columns] : tables) {
    Sha256 hash;
    std::int64_t rows = 0;
    auto query = db.prepare("SELECT " + columns + " FROM " + table + " ORDER BY 1, 2, 3");
    for (; query.step(); ++rows) {
      for (int i = 0; i < query.columns(); ++i)
        hash.update(query.is_null(i) ? "NULL" : query.text(i)).update("|");
    }
    out[table] = std::to_string(rows) + " rows " + to_hex(hash.finish());
  }
  for (const char* iteration : {"iter-00", "iter-01", "iter-02"})
    out[iteration] = sha256_hex_of_file(run / "policy" / iteration / "model.safetensors");
  return out;
}

struct TinyFolder {
  test::TempDir dir;
  TinyFolder() {
    test::write_tiny_policy(dir / "policy");
    test::write_tiny_prompts(dir / "prompts.jsonl", 20);
    test::write_tiny_answers(dir / "answers.jsonl", 8);
    test::write_tiny_config(dir / "tiny.ini", dir.path());
  }
  std::vector<std::string> command(const std::string& run) const {
    return {"run", (dir / "tiny.ini").string(), "--run.dir=" + (dir / run).string(),
            "--sft.data=" + (dir / "answers.jsonl").string(), "--sft.batch_size=2"};
  }
};

/// True once the run's database answers the query with at least `least`.
bool reached(const std::filesystem::path& run, const std::string& sql, std::int64_t least) {
  try {
    const store::Database db = store::Database::open_reader(run / "run.db");
    auto query = db.prepare(sql);
    return query.step() && query.integer(0) >= least;
  } catch (const std::exception&) {
    return false;
  }
}

using Points = std::vector<std::pair<std::string, std::function<bool()>>>;

/// Kills the run `killed` at each point in turn, finishes it, and compares it with a whole one.
void check_killed_run(const TinyFolder& tiny, const Points& points, int least_kills,
                      const std::map<std::string, std::string>& expected) {
  int kills = 0;
  for (const auto& [name, is_there] : points) {
    test::Process process(tiny.dir, tiny.command("killed"));
    while (process.running() && !is_there())
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    if (process.running()) {
      process.kill_and_wait();
      ++kills;
    }
    INFO(name << ": " << process.errors());
    CHECK((process.wait() == 0 || process.wait() == 128 + SIGKILL));
  }
  CHECK(kills >= least_kills);
  test::Process last(tiny.dir, tiny.command("killed"));
  INFO(last.errors());
  REQUIRE(last.wait() == 0);
  const auto actual = digest(tiny.dir / "killed");
  for (const auto& [table, value] : expected) {
    INFO(table);
    CHECK(actual.at(table) == value);
  }
}

TEST_CASE("kill -9 anywhere, then the same command, ends in the same bits", "[e2e]") {
  TinyFolder tiny;
  test::Process whole(tiny.dir, tiny.command("whole"));
  REQUIRE(whole.wait() == 0);
  const auto expected = digest(tiny.dir / "whole");

  const auto count = [](const std::string& table, const std::string& where = "1") {
    return "SELECT count(*) FROM " + table + " WHERE " + where;
  };
  const std::filesystem::path run = tiny.dir / "killed";
  const auto exists = [&](const std::string& name) { return std::filesystem::exists(run / name); };
  const Points points{
      {"right after the start", [&] { return exists("run.db"); }},
      {"supervised stage's state", [&] { return exists("training/iter-0"); }},
      {"supervised stage's policy", [&] { return exists("policy/iter-00"); }},
      {"first evaluation samples", [&] { return reached(run, count("samples"), 1); }},
      {"evaluation scores", [&] { return reached(run, count("rewards"), 7); }},
      {"initial evaluation stored", [&] { return reached(run, count("evaluations"), 1); }},
      {"training samples", [&] { return reached(run, count("samples", "suite='train'"), 6); }},
      {"training scores",
       [&] {
         return reached(run, count("rewards r JOIN samples s USING(sample_id)", "s.suite='train'"),
                        6);
       }},
      {"pairs", [&] { return reached(run, count("pairs"), 1); }},
      {"reference log-probs",
       [&] {
         return reached(
             run, count("reference_logps r JOIN samples s USING(sample_id)", "s.suite='train'"), 1);
       }},
      {"first step", [&] { return reached(run, count("steps"), 5); }},
      {"training state", [&] { return exists("training/iter-1"); }},
      {"third step", [&] { return reached(run, count("steps"), 7); }},
      {"saving the policy",
       [&] { return exists("policy/.iter-01.part") || exists("policy/iter-01"); }},
      {"second iteration's samples",
       [&] {
         return reached(
             run,
             count("samples s JOIN iterations i USING(iteration_id)", "i.idx=2 AND suite='train'"),
             1);
       }},
      {"second iteration's steps",
       [&] {
         return reached(run, count("steps s JOIN iterations i USING(iteration_id)", "i.idx=2"), 2);
       }},
      {"last evaluation", [&] {
         return reached(run,
                        count("evaluations e JOIN iterations i USING(iteration_id)", "i.idx=2"), 1);
       }}};
  check_killed_run(tiny, points, 10, expected);
}

TEST_CASE("imported pairs: kill -9 anywhere, then the same command, ends in the same bits",
          "[e2e]") {
  TinyFolder tiny;
  test::write_tiny_pairs(tiny.dir / "pairs.jsonl", 24);
  test::write_tiny_pairs_config(tiny.dir / "tiny.ini", tiny.dir.path());
  test::Process whole(tiny.dir, tiny.command("whole"));
  REQUIRE(whole.wait() == 0);
  const auto expected = digest(tiny.dir / "whole");
  const std::filesystem::path run = tiny.dir / "killed";
  const auto least = [&](const std::string& sql, std::int64_t count) {
    return [=] { return reached(run, sql, count); };
  };
  check_killed_run(
      tiny,
      {{"right after the start", [&] { return std::filesystem::exists(run / "run.db"); }},
       {"imported", least("SELECT count(*) FROM pairs", 1)},
       {"held-out log-probs", least("SELECT count(*) FROM reference_logps", 1)},
       {"initial evaluation", least("SELECT count(*) FROM evaluations", 1)},
       {"first step", least("SELECT count(*) FROM steps", 1)},
       {"third step", least("SELECT count(*) FROM steps", 3)},
       {"evaluation", least("SELECT count(*) FROM evaluations", 9)},
       {"second iteration's step",
        least("SELECT count(*) FROM steps JOIN iterations USING(iteration_id) WHERE idx=2", 1)}},
      5, expected);
}

TEST_CASE("kill -9 where CREAM ranks and pairs, then the same command, ends in the same bits",
          "[e2e]") {
  TinyFolder tiny;
  const auto command = [&](const std::string& run) {
    std::vector<std::string> arguments = tiny.command(run);
    arguments.insert(arguments.end(), {"--score.modules=length, cream", "--score.primary=length",
                                       "--score.train_modules=cream", "--pair.module=cream, length",
                                       "--pair.weights=1, 0.5", "--consistency.rate=dyn"});
    return arguments;
  };
  test::Process whole(tiny.dir, command("whole"));
  REQUIRE(whole.wait() == 0);
  const auto expected = digest(tiny.dir / "whole");
  const std::string scores =
      "SELECT count(*) FROM rewards r JOIN samples s USING(sample_id) JOIN iterations i "
      "USING(iteration_id) WHERE s.suite='train' AND i.idx=";
  const std::vector<std::string> points{scores + "1", "SELECT count(*) FROM rankings", scores + "2",
                                        "SELECT count(*) FROM pair_sets WHERE pair_set_id=2"};
  int kills = 0;
  for (const std::string& point : points) {
    test::Process process(tiny.dir, command("killed"));
    while (process.running() && !reached(tiny.dir / "killed", point, 1))
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    if (process.running()) {
      process.kill_and_wait();
      ++kills;
    }
    process.wait();
  }
  CHECK(kills >= 3);
  test::Process last(tiny.dir, command("killed"));
  INFO(last.errors());
  REQUIRE(last.wait() == 0);
  const auto actual = digest(tiny.dir / "killed");
  for (const auto& [table, value] : expected) {
    INFO(table);
    CHECK(actual.at(table) == value);
  }
}

TEST_CASE("guided run: kill -9 anywhere, then the same command, ends in the same bits", "[e2e]") {
  TinyFolder tiny;
  test::write_tiny_policy(tiny.dir / "guide", 5, test::narrow_policy_config());
  std::ofstream(tiny.dir / "tiny.ini", std::ios::app)
      << "[guide]\nmodels = " << (tiny.dir / "guide").string() << ":2\n";
  test::Process whole(tiny.dir, tiny.command("whole"));
  REQUIRE(whole.wait() == 0);
  const auto expected = digest(tiny.dir / "whole");
  const std::filesystem::path run = tiny.dir / "killed";
  const auto samples = [&](const std::string& suite, std::int64_t count) {
    return [=] {
      return reached(run, "SELECT count(*) FROM samples WHERE suite='" + suite + "'", count);
    };
  };
  check_killed_run(tiny,
                   {{"guided evaluation", samples("heldout-guided-1", 1)},
                    {"guided rollout", samples("train", 1)},
                    {"more of it", samples("train", 6)},
                    {"second evaluation", samples("heldout-guided-1", 9)}},
                   3, expected);
}

TEST_CASE("a finished run says so at once and changes nothing", "[e2e]") {
  TinyFolder tiny;
  REQUIRE(test::Process(tiny.dir, tiny.command("run")).wait() == 0);
  const auto before = digest(tiny.dir / "run");
  test::Process again(tiny.dir, tiny.command("run"));
  CHECK(again.wait() == 0);
  CHECK_THAT(again.errors(), Catch::Matchers::Contains("run tiny is complete"));
  CHECK(digest(tiny.dir / "run") == before);
}

TEST_CASE("two writers on one run: the second is turned away", "[e2e]") {
  TinyFolder tiny;
  std::filesystem::create_directories(tiny.dir / "run");
  const auto writer = store::Database::open_writer(tiny.dir.path() / "run/run.db");
  test::Process second(tiny.dir, tiny.command("run"));
  CHECK(second.wait() == 3);
}

}  // namespace
}  // namespace plumb
