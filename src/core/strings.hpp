#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace plumb {

std::string_view trim(std::string_view text);
/// Splits at `separator`, trims the parts, keeps no empty part.
std::vector<std::string> split_list(std::string_view text, char separator = ',');
std::string join(std::span<const std::string> parts, std::string_view separator);
/// The candidate with the smallest edit distance, or "" if none is close enough to be a likely
/// typo.
std::string nearest_name(std::string_view given, std::span<const std::string> candidates);
/// True if `text` is well-formed UTF-8 (no surrogates, no overlong forms).
bool is_valid_utf8(std::string_view text);
/// Length of the longest prefix that is well-formed UTF-8.
std::size_t valid_utf8_prefix(std::string_view text);
/// `text` with every malformed part replaced by one U+FFFD. A part is the longest piece that could
/// begin a character (the Unicode Standard's "maximal subpart", as the WHATWG decoder and Python's
/// errors='replace' do), else one byte.
std::string to_valid_utf8(std::string_view text);
/// Length of the longest prefix that does not end inside a UTF-8 sequence.
std::size_t complete_utf8_prefix(std::string_view text);

}  // namespace plumb
