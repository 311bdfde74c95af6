#include <array>

#include "text/pretokenizer.hpp"
#include "text/unicode.hpp"

namespace plumb::cutting {
namespace {

enum class Kind { letter, number, space, other };

Kind kind_of(char32_t c) {
  if (unicode::is_letter(c)) return Kind::letter;
  if (unicode::is_space(c)) return Kind::space;
  return unicode::is_number(c) ? Kind::number : Kind::other;
}

struct Run {
  std::size_t end;   // after the last character of the run
  std::size_t last;  // where its last character begins
};

/// The longest run of one kind that begins at `at`; empty if the first character is of another
/// kind.
Run run_of(Kind kind, std::string_view text, std::size_t at) {
  Run run{at, at};
  while (run.end < text.size()) {
    const unicode::CodePoint point = unicode::first(text.substr(run.end));
    if (kind_of(point.value) != kind) break;
    run.last = run.end;
    run.end += point.size;
  }
  return run;
}

std::size_t contraction_length(std::string_view text) {
  constexpr std::array<std::string_view, 7> kContractions{"'s", "'t",  "'re", "'ve",
                                                          "'m", "'ll", "'d"};
  for (const std::string_view contraction : kContractions) {
    if (text.starts_with(contraction)) return contraction.size();
  }
  return 0;
}

std::size_t piece_end(std::string_view text, std::size_t at) {
  if (text[at] == '\'') {
    if (const std::size_t length = contraction_length(text.substr(at)); length > 0)
      return at + length;
  }
  const std::size_t after_space = text[at] == ' ' ? at + 1 : at;
  if (after_space < text.size()) {
    const Kind kind = kind_of(unicode::first(text.substr(after_space)).value);
    if (kind != Kind::space) return run_of(kind, text, after_space).end;
  }
  const Run spaces = run_of(Kind::space, text, at);
  return spaces.end == text.size() || spaces.last == at ? spaces.end : spaces.last;
}

}  // namespace

void cut_gpt2(std::string_view text, PieceSpan span, std::vector<PieceSpan>& out) {
  const std::string_view piece = text.substr(span.begin, span.end - span.begin);
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t end = piece_end(piece, at);
    out.push_back({span.begin + at, span.begin + end});
    at = end;
  }
}

}  // namespace plumb::cutting
