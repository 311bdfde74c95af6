#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.hpp"
#include "core/error.hpp"
#include "pipeline/run_options.hpp"
#include "store/runs.hpp"

namespace plumb::cli {
namespace {
namespace fs = std::filesystem;

/// The folder of a run's database.
fs::path run_folder(const fs::path& file) {
  if (file.filename() == "run.db") return file.has_parent_path() ? file.parent_path() : ".";
  if (fs::is_directory(file)) return file;
  throw UsageError(cat("--db = ", file.string(),
                       ": a run's database is the file run.db of its folder; give FOLDER/run.db"));
}

}  // namespace

bool load_stored_config(const std::string& file, const std::string& run_name, Config& config) {
  const fs::path folder = run_folder(file);
  config.load_value("run.dir", folder.string(), "--db");
  const fs::path database = folder / "run.db";
  if (!fs::exists(database)) return false;
  const store::Database db = store::Database::open_reader(database);
  const std::optional<store::Run> run =
      run_name.empty() ? store::newest_run(db) : store::find_run(db, run_name);
  if (!run) return false;
  const nlohmann::json stored = nlohmann::json::parse(run->config);
  for (const Option& option : config.options()) {
    const std::size_t dot = option.key.find('.');
    const nlohmann::json section =
        stored.value(option.key.substr(0, dot), nlohmann::json::object());
    const auto value = section.find(option.key.substr(dot + 1));
    // A value that equals the default stays unset: some defaults depend on other options.
    if (value == section.end() || *value == option.default_value || option.key == "run.dir")
      continue;
    config.load_value(option.key, value->get<std::string>(), database.string());
  }
  return true;
}

Config read_run_config(const Arguments& given) {
  Arguments arguments = given;
  const std::string database = take_value(arguments, "db");
  Config from_arguments(run_option_table());
  const Arguments files = from_arguments.load_command_line(arguments);
  Config config(run_option_table());
  if (!database.empty()) {
    if (!files.empty()) throw UsageError("command line: give a config file or --db, not both");
    const bool named = from_arguments.is_set("run.name");
    const std::string name = named ? from_arguments.text("run.name") : "";
    if (!load_stored_config(database, name, config))
      throw DataError(cat("--db = ", database, ": holds no run", named ? " named " + name : "",
                          "; begin one with a config file, or `plumb import`"));
  } else if (files.empty()) {
    throw UsageError("no config file given; try configs/quickstart.ini");
  }
  for (const std::string& file : files) config.load_file(file);
  config.load_command_line(arguments);
  return config;
}

}  // namespace plumb::cli
