#pragma once
#include <string>
#include <vector>

#include "config/config.hpp"

namespace plumb::cli {

using Arguments = std::vector<std::string>;

/// One subcommand. `run` gets the arguments after its name and returns the exit code.
struct Command {
  std::string name;
  std::string usage;  // arguments, e.g. "CONFIG [--section.key=value ...]"
  std::string summary;
  std::vector<Option> (*options)();  // for --help
  int (*run)(const Arguments& arguments);
  bool computes = false;  // runs models
};
const std::vector<Command>& commands();

/// Takes `--name` out of the arguments. @return whether it was there
bool take_flag(Arguments& arguments, const std::string& name);
/// Takes `--name=value` or `--name value` out. @return the value, or "" if it was not there
std::string take_value(Arguments& arguments, const std::string& name);

/// Reads a run's options: config files (positional arguments), or with `--db DB` those stored in a
/// run's database (the newest run, or the one named by --run.name); then the command line.
Config read_run_config(const Arguments& arguments);  // run_config.cpp
/// The same from a database that may be new or hold no run. @param file FOLDER/run.db, or FOLDER
/// @return whether the options are those of a stored run
bool load_stored_config(const std::string& file, const std::string& run_name, Config& config);

[[noreturn]] void throw_unexpected(const std::string& argument);
/// Reads options of a command that takes no config file. Throws UsageError if positional arguments
/// are left.
template <class Options>
Options read_options(const Arguments& arguments) {
  Config config(declared<Options>(""));
  const Arguments left = config.load_command_line(arguments);
  if (!left.empty()) throw_unexpected(left.front());
  return config.values().template read<Options>("");
}
int run_command(const Arguments& arguments);      // cmd_run.cpp
int rollout_command(const Arguments& arguments);  // cmd_phase.cpp
int score_command(const Arguments& arguments);
int pair_command(const Arguments& arguments);
int annotate_command(const Arguments& arguments);
int train_command(const Arguments& arguments);
int eval_command(const Arguments& arguments);
int import_command(const Arguments& arguments);     // cmd_import.cpp
int calibrate_command(const Arguments& arguments);  // cmd_calibrate.cpp
int generate_command(const Arguments& arguments);   // cmd_generate.cpp
int tokenize_command(const Arguments& arguments);   // cmd_tokenize.cpp
int logprobs_command(const Arguments& arguments);   // cmd_logprobs.cpp
int embed_command(const Arguments& arguments);      // cmd_embed.cpp
int serve_command(const Arguments& arguments);      // cmd_serve.cpp
int sql_command(const Arguments& arguments);        // cmd_sql.cpp
int list_command(const Arguments& arguments);       // cmd_list.cpp
int doctor_command(const Arguments& arguments);     // cmd_doctor.cpp

}  // namespace plumb::cli
