#pragma once
#include <string>
#include <utility>
#include <vector>

#include "store/database.hpp"

namespace plumb::store {

/// Binds every parameter of a statement: from `given` (names with or without prefix), else by its
/// default. Throws UsageError for a given name that the statement does not have, an unknown run or
/// module, or a parameter without default.
void bind_parameters(const Database& db, Statement& statement,
                     const std::vector<std::pair<std::string, std::string>>& given);

}  // namespace plumb::store
