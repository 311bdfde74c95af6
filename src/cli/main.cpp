#include <malloc.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <new>

#include "cli/command.hpp"
#include "cli/thread_waiting.hpp"
#include "core/error.hpp"
#include "core/log.hpp"
#include "core/progress.hpp"
#include "core/strings.hpp"
#include "pipeline/version.hpp"

namespace plumb::cli {
namespace {

constexpr int kOk = 0, kUsage = 2, kData = 3, kBug = 70;

/// Keeps freed memory in the process: with glibc's defaults a training step spends a third of its
/// time on fresh pages.
void tune_allocator() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
}

void print_help() {
  std::cout << "plumb " << kVersion
            << ": aligns language models by iterative preference optimization\n\nusage: plumb "
               "COMMAND [arguments]\n\n";
  for (const Command& command : commands()) {
    std::cout << "  " << command.name << std::string(12 - command.name.size(), ' ')
              << command.summary << "\n";
  }
  std::cout << "\n`plumb COMMAND --help` shows a command's options. Everywhere: --quiet, "
               "--json-log FILE.\n";
}

void print_command_help(const Command& command) {
  std::cout << "usage: plumb " << command.name << " " << command.usage << "\n\n"
            << command.summary << "\n"
            << describe_options(command.options());
}

const Command& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == name) return command;
    names.push_back(command.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw UsageError(cat("unknown command '", name, "'",
                       nearest.empty() ? "" : cat(" (did you mean '", nearest, "'?)"),
                       "; `plumb --help` lists all"));
}

int dispatch(Arguments arguments, char** argv) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h" ||
      arguments[0] == "help") {
    print_help();
    return arguments.empty() ? kUsage : kOk;
  }
  if (arguments[0] == "--version") {
    std::cout << "plumb " << kVersion << "\n";
    return kOk;
  }
  const Command& command = find_command(arguments[0]);
  arguments.erase(arguments.begin());
  if (take_flag(arguments, "help") || take_flag(arguments, "h")) {
    print_command_help(command);
    return kOk;
  }
  if (command.computes) limit_spinning(argv);
  if (take_flag(arguments, "quiet")) {
    log::set_quiet(true);
    Progress::set_quiet(true);
  }
  if (const std::string file = take_value(arguments, "json-log"); !file.empty())
    log::set_json_file(file);
  return command.run(arguments);
}

/// Runs a command and turns every failure into a message and an exit code.
int guarded(const Arguments& arguments, char** argv) {
  try {
    const int code = dispatch(arguments, argv);
    std::cout.flush();
    return code;
  } catch (const UsageError& error) {
    log::error(error.what());
    return kUsage;
  } catch (const DataError& error) {
    log::error(error.what());
    return kData;
  } catch (const std::bad_alloc&) {
    log::error(
        "out of memory: lower rollout.max_rows, train.micro_batch_tokens or the model's size");
    return kData;
  } catch (const std::exception& error) {
    log::error(cat("this is a bug in plumb, please report it: ", error.what()));
    return kBug;
  }
}

}  // namespace
}  // namespace plumb::cli

int main(int argc, char** argv) {
  plumb::cli::tune_allocator();
  return plumb::cli::guarded({argv + 1, argv + argc}, argv);
}
