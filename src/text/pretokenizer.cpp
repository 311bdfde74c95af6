#include "text/pretokenizer.hpp"

#include <algorithm>

#include "text/unicode.hpp"

namespace plumb {
namespace {

using cutting::Behavior;

struct Part {
  PieceSpan span;
  bool is_match;
};
using Spans = std::vector<PieceSpan>;

bool is_word_or_space(char32_t c) { return unicode::is_word(c) || unicode::is_space(c); }

/// Matches and the gaps between them, covering `span`.
std::vector<Part> parts_of(PieceSpan span, const Spans& matches) {
  std::vector<Part> parts;
  std::size_t at = span.begin;
  for (const PieceSpan match : matches) {
    if (match.begin > at) parts.push_back({{at, match.begin}, false});
    parts.push_back({match, true});
    at = match.end;
  }
  if (at < span.end) parts.push_back({{at, span.end}, false});
  return parts;
}

/// Every character for which `matches` holds is a match of its own.
template <class Predicate>
Spans single_characters(std::string_view text, PieceSpan span, Predicate matches) {
  Spans found;
  for (std::size_t at = span.begin; at < span.end;) {
    const unicode::CodePoint point = unicode::first(text.substr(at, span.end - at));
    if (matches(point.value)) found.push_back({at, at + point.size});
    at += point.size;
  }
  return found;
}

void emit_merged_with_next(const std::vector<Part>& parts, Spans& out) {
  const std::size_t first = out.size();
  bool previous_match = false;
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (part->is_match && !previous_match && out.size() > first) {
      out.back().begin = part->span.begin;
    } else {
      out.push_back(part->span);
    }
    previous_match = part->is_match;
  }
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
}

void emit(const std::vector<Part>& parts, Behavior behavior, Spans& out) {
  if (behavior == Behavior::merged_with_next) return emit_merged_with_next(parts, out);
  const std::size_t first = out.size();
  bool previous_match = false;
  for (const Part& part : parts) {
    const bool joins =
        (behavior == Behavior::contiguous && part.is_match == previous_match) ||
        (behavior == Behavior::merged_with_previous && part.is_match && !previous_match);
    if (joins && out.size() > first) {
      out.back().end = part.span.end;
    } else if (behavior != Behavior::removed || !part.is_match) {
      out.push_back(part.span);
    }
    previous_match = part.is_match;
  }
}

struct Cut {
  Pieces& pieces;
  bool at_start;

  /// Replaces every span by what `cut` appends for it.
  template <class Function>
  void each(Function cut) const {
    Spans out;
    out.reserve(pieces.spans.size());
    for (const PieceSpan span : pieces.spans) cut(std::string_view(pieces.text), span, out);
    pieces.spans = std::move(out);
  }

  /// Replaces the text of every span by what `rewrite` makes of it.
  template <class Function>
  void rewrite(Function rewrite_piece) const {
    Pieces out;
    for (const PieceSpan span : pieces.spans) {
      const std::size_t begin = out.text.size();
      out.text += rewrite_piece(
          std::string_view(pieces.text).substr(span.begin, span.end - span.begin), span);
      out.spans.push_back({begin, out.text.size()});
    }
    pieces = std::move(out);
  }

  template <class Predicate>
  void split_characters(Predicate matches, Behavior behavior) const {
    each([&](std::string_view text, PieceSpan span, Spans& out) {
      const Spans found = single_characters(text, span, matches);
      if (found.empty()) {
        out.push_back(span);
      } else {
        emit(parts_of(span, found), behavior, out);
      }
    });
  }

  void operator()(const cutting::Split& step) const {
    each([&](std::string_view text, PieceSpan span, Spans& out) {
      Spans found = step.pattern.find_all(text.substr(span.begin, span.end - span.begin));
      for (PieceSpan& match : found) match = {match.begin + span.begin, match.end + span.begin};
      std::vector<Part> parts = parts_of(span, found);
      if (step.invert) {
        for (Part& part : parts) part.is_match = !part.is_match;
      }
      emit(parts, step.behavior, out);
    });
  }

  void operator()(const cutting::Digits& step) const {
    split_characters(unicode::is_number,
                     step.individual ? Behavior::isolated : Behavior::contiguous);
  }

  void operator()(const cutting::Gpt2&) const { each(cutting::cut_gpt2); }

  void operator()(const cutting::SpacePrefix&) const {
    rewrite([](std::string_view piece, PieceSpan) {
      return piece.starts_with(' ') ? std::string(piece) : " " + std::string(piece);
    });
  }

  void operator()(const cutting::Words&) const {
    split_characters(unicode::is_space, Behavior::removed);
    each([](std::string_view text, PieceSpan span, Spans& out) {
      const auto is_other = [](char32_t c) { return !is_word_or_space(c); };
      emit(parts_of(span, single_characters(text, span, is_other)), Behavior::contiguous, out);
    });
  }

  void operator()(const cutting::SpaceSplit&) const {
    split_characters(unicode::is_space, Behavior::removed);
  }

  void operator()(const cutting::Bert&) const {
    split_characters(unicode::is_space, Behavior::removed);
    split_characters(unicode::is_punctuation, Behavior::isolated);
  }

  void operator()(const cutting::Punctuation& step) const {
    split_characters(unicode::is_punctuation, step.behavior);
  }

  void operator()(const cutting::Metaspace& step) const {
    rewrite([&](std::string_view piece, PieceSpan span) {
      std::string out;
      for (const char c : piece) {
        if (c == ' ') {
          out += step.replacement;
        } else {
          out += c;
        }
      }
      const bool wanted = step.prefix == cutting::Prefix::always ||
                          (step.prefix == cutting::Prefix::first && at_start && span.begin == 0);
      return wanted && !out.starts_with(step.replacement) ? step.replacement + out : out;
    });
    if (!step.split) return;
    const SplitPattern mark = SplitPattern::literal(step.replacement);
    (*this)(cutting::Split{mark, Behavior::merged_with_next, false});
  }
};

}  // namespace

Pieces PreTokenizer::apply(std::string segment, bool at_start) const {
  Pieces pieces{std::move(segment), {}};
  if (pieces.text.empty()) return pieces;
  pieces.spans.push_back({0, pieces.text.size()});
  for (const cutting::Step& step : steps_) std::visit(Cut{pieces, at_start}, step);
  return pieces;
}

}  // namespace plumb
