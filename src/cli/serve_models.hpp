#pragma once
#include <memory>
#include <vector>

#include "config/config.hpp"
#include "service/options.hpp"
#include "service/served_models.hpp"

namespace plumb::cli {

/// Options of `plumb serve`: its own, those of guides and of all reward modules.
std::vector<Option> serve_option_table();

/// Loads the modules, the tokenizer and the policy that the options name. Throws UsageError,
/// DataError.
std::shared_ptr<const service::ServedModels> load_served_models(
    const service::ServeOptions& options, const OptionValues& values);

}  // namespace plumb::cli
