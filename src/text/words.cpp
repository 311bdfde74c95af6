#include "text/words.hpp"

#include "text/unicode.hpp"

namespace plumb {
namespace {

enum class Kind { space, word, other };

Kind kind_of(char32_t c) {
  if (unicode::is_letter(c) || unicode::is_number(c) || c == U'_') return Kind::word;
  if (unicode::is_space(c) || (c >= 0x1C && c <= 0x1F)) return Kind::space;
  return Kind::other;
}

}  // namespace

std::vector<std::string_view> wordpunct(std::string_view text) {
  std::vector<std::string_view> words;
  Kind run = Kind::space;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const unicode::CodePoint point = unicode::first(text.substr(at));
    const Kind kind = kind_of(point.value);
    if (kind != run) {
      if (run != Kind::space) words.push_back(text.substr(begin, at - begin));
      run = kind;
      begin = at;
    }
    at += point.size;
  }
  if (run != Kind::space) words.push_back(text.substr(begin));
  return words;
}

}  // namespace plumb
