#pragma once
#include <string>
#include <vector>

#include "config/config.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "pipeline/run_options.hpp"
#include "store/database.hpp"
#include "support/files.hpp"
#include "support/tiny_policy.hpp"

namespace plumb::test {

/// A tiny run in a temporary folder.
struct TinyRun {
  TempDir dir;
  explicit TinyRun(int prompts = 12) {
    log::set_quiet(true);
    Progress::set_quiet(true);
    write_tiny_policy(dir / "policy");
    write_tiny_prompts(dir / "prompts.jsonl", prompts);
    write_tiny_config(dir / "tiny.ini", dir.path());
  }
  RunConfig config(const std::vector<std::string>& arguments = {},
                   const std::string& file = "tiny.ini") const {
    Config config(run_option_table());
    config.load_file(dir / file);
    config.load_command_line(arguments);
    return RunConfig::from(config.values());
  }
  std::int64_t count(const store::Database& db, const std::string& sql) const {
    auto query = db.prepare(sql);
    query.step();
    return query.integer(0);
  }
};

}  // namespace plumb::test
