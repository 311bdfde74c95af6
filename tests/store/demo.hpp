#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "core/files.hpp"
#include "store/database.hpp"
#include "store/pairs.hpp"
#include "store/prompts.hpp"
#include "store/rewards.hpp"
#include "store/runs.hpp"
#include "store/samples.hpp"
#include "support/files.hpp"

namespace plumb::store::test {

/// A copy of an empty database that is made once: faster than applying the migrations for every
/// test.
inline std::filesystem::path copy_of_empty(const std::filesystem::path& file) {
  static const plumb::test::TempDir folder;
  static const bool made = (Database::open_writer(folder / "empty.db"), true);
  if (made) std::filesystem::copy_file(folder / "empty.db", file);
  return file;
}

/// A writer on a new database in a folder that goes away.
struct FreshStore {
  plumb::test::TempDir folder;
  std::filesystem::path file = copy_of_empty(folder / "run.db");
  Database db = Database::open_writer(file);
};

/// The same with the rows of demo.sql.
struct DemoStore : FreshStore {
  DemoStore() {
    Transaction transaction(db);
    db.execute(read_file(std::filesystem::path(PLUMB_SOURCE_DIR) / "tests/store/demo.sql"));
    transaction.commit();
  }
};

/// The same with one run, one iteration and two prompts, by the functions of the store.
struct SmallStore : FreshStore {
  std::int64_t run = create_run(db, "small", 7, "0.1.0", R"({"loss":{"name":"dpo"}})");
  std::int64_t base =
      add_checkpoint(db, {0, run, "base", "models/base", "aa", 10, 0, std::nullopt});
  std::int64_t iteration =
      create_iteration(db, {0, run, 1, "rollout", base, base, std::nullopt}, "{}");
  std::int64_t first = add_prompt(db, prompt("one")), second = add_prompt(db, prompt("two"));

  static PromptRow prompt(const std::string& text) {
    PromptRow row;
    row.dataset = "small.jsonl";
    row.external_id = "1";
    row.messages = R"([{"role":"user","content":")" + text + R"("}])";
    row.text = text;
    row.ids = {1, 2, 3};
    return row;
  }
  SampleRow sample(std::int64_t prompt_id, std::int64_t k, const std::string& text,
                   std::vector<float> logps = {-0.5F, -0.25F}) const {
    SampleRow row;
    row.iteration_id = iteration;
    row.prompt_id = prompt_id;
    row.k = k;
    row.seed = 7;
    row.finish_reason = "stop";
    row.checkpoint_id = base;
    row.ids.assign(logps.size(), 5);
    row.logp_sampling = logps;
    row.logp_policy = std::move(logps);
    row.text = text;
    return row;
  }
  std::int64_t add(const SampleRow& row) {
    Transaction transaction(db);
    const std::int64_t id = add_sample(db, row);
    transaction.commit();
    return id;
  }
};

inline std::int64_t integer(const Database& db, const std::string& sql) {
  Statement query = db.prepare(sql);
  return query.step() ? query.integer(0) : -1;
}
inline std::string text(const Database& db, const std::string& sql) {
  Statement query = db.prepare(sql);
  return query.step() ? query.text(0) : "";
}

}  // namespace plumb::store::test
