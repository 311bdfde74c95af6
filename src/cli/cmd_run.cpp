#include <iostream>

#include "cli/command.hpp"
#include "core/log.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/loop.hpp"
#include "pipeline/run_prompts.hpp"

namespace plumb::cli {

int run_command(const Arguments& given) {
  Arguments arguments = given;
  const bool dry_run = take_flag(arguments, "dry-run");
  const bool dump_config = take_flag(arguments, "dump-config");
  const Config config = read_run_config(arguments);
  if (dump_config) {
    std::cout << config.dump();
    return 0;
  }
  RunContext context(RunConfig::from(config.values()));
  if (dry_run) {
    store_run_prompts(context);
    std::cout << plan_text(context);
    return 0;
  }
  run_loop(context);
  std::cout << evaluation_table(context.db, context.run.id);
  return 0;
}

}  // namespace plumb::cli
