#pragma once
#include <cstdint>
#include <string>
#include <string_view>

/// Code points of UTF-8 text and their Unicode properties (utf8proc, Unicode 15.0).
namespace plumb::unicode {

struct CodePoint {
  char32_t value;      // U+FFFD for a malformed byte
  std::uint32_t size;  // bytes, 1 for a malformed byte
};

/// First code point of a text that is not empty.
CodePoint first(std::string_view text);
/// Last code point of a text that is not empty.
CodePoint last(std::string_view text);
void append(std::string& out, char32_t code_point);

/// Category L*.
bool is_letter(char32_t code_point);
/// Category N*.
bool is_number(char32_t code_point);
/// Category M*.
bool is_mark(char32_t code_point);
/// Category Mn.
bool is_nonspacing_mark(char32_t code_point);
/// Category P*, or any ASCII character that is neither a letter, a digit, a space nor a control.
bool is_punctuation(char32_t code_point);
/// Categories Cc, Cf, Co and Cs; unassigned code points are none of them.
bool is_control(char32_t code_point);
/// The property White_Space.
bool is_space(char32_t code_point);
/// A word character of regular expressions (UTS 18, annex C): letters, marks, decimal digits,
/// connectors.
bool is_word(char32_t code_point);

/// Lower case without context or language: only U+0130 becomes two code points.
void append_lowercase(std::string& out, char32_t code_point);

}  // namespace plumb::unicode
