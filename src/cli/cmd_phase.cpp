#include <charconv>
#include <iostream>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/loop.hpp"

namespace plumb::cli {
namespace {

int run_phase_command(const std::string& phase, const Arguments& given) {
  Arguments arguments = given;
  std::int64_t iteration = -1;
  if (const std::string text = take_value(arguments, "iteration"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), iteration);
    if (error != std::errc{} || end != text.data() + text.size() || iteration < 0) {
      throw UsageError(cat("--iteration = ", text, ": expected a whole number from 0"));
    }
  }
  RunContext context(RunConfig::from(read_run_config(arguments).values()), phase);
  run_single_phase(context, phase, iteration);
  if (phase == "eval") std::cout << evaluation_table(context.db, context.run.id);
  return 0;
}

}  // namespace

int rollout_command(const Arguments& arguments) { return run_phase_command("rollout", arguments); }
int score_command(const Arguments& arguments) { return run_phase_command("score", arguments); }
int pair_command(const Arguments& arguments) { return run_phase_command("pair", arguments); }
int annotate_command(const Arguments& arguments) {
  return run_phase_command("annotate", arguments);
}
int train_command(const Arguments& arguments) { return run_phase_command("train", arguments); }
int eval_command(const Arguments& arguments) { return run_phase_command("eval", arguments); }

}  // namespace plumb::cli
