#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "service/score_sink.hpp"

namespace plumb::cli {

/// Keeps the service's scores in a database of the usual schema: run "service", iteration 0, suite
/// "service". A text is one sample, every module's score a row of `rewards`, so that `plumb sql`
/// and the views work on it.
/// @param config  JSON object of the effective options
/// Throws DataError if the database cannot be opened for writing.
std::unique_ptr<service::ScoreSink> open_score_store(const std::filesystem::path& file,
                                                     const std::string& config);

}  // namespace plumb::cli
