#include "cli/thread_waiting.hpp"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace plumb::cli {
namespace {

constexpr const char *kSpins = "GOMP_SPINCOUNT", *kPolicy = "OMP_WAIT_POLICY";

}  // namespace

void limit_spinning(char** arguments) {
  if (std::getenv(kSpins) != nullptr || std::getenv(kPolicy) != nullptr) return;
  std::error_code missing;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", missing);
  if (missing || setenv(kSpins, "20000", 0) != 0) return;
  execv(program.c_str(), arguments);
}

std::string thread_waiting() {
  for (const char* name : {kSpins, kPolicy}) {
    if (const char* value = std::getenv(name)) return std::string(name) + "=" + value;
  }
  return "spin without limit";
}

}  // namespace plumb::cli
