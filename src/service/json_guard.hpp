#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string_view>

namespace plumb::service {

/// Parses a request body. Throws Problem 400 for text that is not JSON (or not UTF-8), a duplicate
/// key, nesting deeper than 64, more than a million values, or a value that is no object.
nlohmann::json parse_body(std::string_view body);

}  // namespace plumb::service
