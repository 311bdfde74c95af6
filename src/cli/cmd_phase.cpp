#include <algorithm>
#include <charconv>
#include <iostream>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "core/strings.hpp"
#include "pipeline/evaluation.hpp"
#include "pipeline/loop.hpp"

namespace plumb::cli {
namespace {

/// `--url URL` of `score`: the reward server at URL scores beside the modules of the config.
void score_by_server(Config& config, const std::string& url) {
  const std::string modules = config.text("score.modules");
  const std::vector<std::string> names = split_list(modules);
  config.load_command_line({"--remote.url=" + url});
  if (std::find(names.begin(), names.end(), "remote") == names.end())
    config.load_command_line({"--score.modules=" + modules + ", remote"});
}

int run_phase_command(const std::string& phase, const Arguments& given) {
  Arguments arguments = given;
  const std::string url = phase == "score" ? take_value(arguments, "url") : "";
  std::int64_t iteration = -1;
  if (const std::string text = take_value(arguments, "iteration"); !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), iteration);
    if (error != std::errc{} || end != text.data() + text.size() || iteration < 0) {
      throw UsageError(cat("--iteration = ", text, ": expected a whole number from 0"));
    }
  }
  Config config = read_run_config(arguments);
  if (!url.empty()) score_by_server(config, url);
  RunContext context(RunConfig::from(config.values()), phase);
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
