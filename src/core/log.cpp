#include "core/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/progress.hpp"

namespace plumb::log {
namespace {

struct State {
  std::shared_ptr<spdlog::logger> console = [] {
    auto logger = spdlog::stderr_color_mt("plumb");
    logger->set_pattern("%^%v%$");
    return logger;
  }();
  std::mutex mutex;
  std::ofstream json;
};

State& state() {
  static State instance;
  return instance;
}

void write(spdlog::level::level_enum level, const char* name, const std::string& message) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  Progress::clear_line();
  const char* prefix = level == spdlog::level::warn  ? "warning: "
                       : level == spdlog::level::err ? "error: "
                                                     : "";
  s.console->log(level, "{}{}", prefix, message);
  if (s.json.is_open()) {
    const nlohmann::json line = {{"time", utc_now()}, {"level", name}, {"message", message}};
    s.json << line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n'
           << std::flush;
  }
}

}  // namespace

void set_quiet(bool quiet) {
  state().console->set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

void set_json_file(const std::filesystem::path& file) {
  State& s = state();
  s.json.open(file, std::ios::app);
  if (!s.json) throw DataError(cat(file.string(), ": cannot be opened for the JSON log"));
}

void info(const std::string& message) { write(spdlog::level::info, "info", message); }
void warn(const std::string& message) { write(spdlog::level::warn, "warn", message); }
void error(const std::string& message) { write(spdlog::level::err, "error", message); }

}  // namespace plumb::log
