#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace plumb {

/// RFC 4648, with padding.
std::string encode_base64(std::string_view bytes);
/// Padding may be missing. @return nothing for any other character
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace plumb
