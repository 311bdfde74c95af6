#pragma once
#include <filesystem>
#include <string>

/// Log lines for people, to stderr, and optionally as JSON lines to a file. Data never goes through
/// here.
namespace plumb::log {

/// Drops everything below a warning.
void set_quiet(bool quiet);
/// Appends every line as {"time","level","message"} to `file`. Throws DataError if it cannot be
/// opened.
void set_json_file(const std::filesystem::path& file);

void info(const std::string& message);
void warn(const std::string& message);
void error(const std::string& message);

}  // namespace plumb::log
