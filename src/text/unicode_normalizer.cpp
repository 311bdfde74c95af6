#include "text/unicode_normalizer.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "text/pretokenizer_pattern.hpp"
#include "text/unicode.hpp"

namespace plumb {
namespace unicode {
namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<signed char>(c) >= 0; });
}

/// Sorts every run of combining characters by its class. utf8proc's own sort is quadratic on long
/// runs.
void order_marks(std::vector<utf8proc_int32_t>& points) {
  const auto combining_class = [](utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
  };
  for (auto begin = points.begin(); begin != points.end();) {
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end =
        std::find_if(begin, points.end(), [&](auto c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end,
                     [&](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
}

template <class Append>
std::string map_points(std::string_view text, Append append_mapped) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = first(text.substr(at));
    append_mapped(out, point.value);
    at += point.size;
  }
  return out;
}

}  // namespace

std::string normalize(std::string_view text, Form form) {
  if (is_ascii(text)) return std::string(text);
  const bool compose = form == Form::nfc || form == Form::nfkc;
  const bool compatible = form == Form::nfkc || form == Form::nfkd;
  const auto options =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | (compatible ? UTF8PROC_COMPAT : 0) |
                                     (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE));
  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = first(text.substr(at));
    std::array<utf8proc_int32_t, 32> parts;  // the longest decomposition has 18 code points
    int boundary = 0;
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point.value),
                                               parts.data(), parts.size(), options, &boundary);
    expects(count >= 0 && count <= static_cast<utf8proc_ssize_t>(parts.size()),
            "a short decomposition");
    points.insert(points.end(), parts.begin(), parts.begin() + count);
    at += point.size;
  }
  order_marks(points);
  if (compose) {
    const auto count = utf8proc_normalize_utf32(
        points.data(), static_cast<utf8proc_ssize_t>(points.size()), options);
    expects(count >= 0, "composition to succeed");
    points.resize(static_cast<std::size_t>(count));
  }
  std::string out;
  out.reserve(text.size());
  for (const utf8proc_int32_t c : points) append(out, static_cast<char32_t>(c));
  return out;
}

}  // namespace unicode

namespace {

using unicode::append;

bool is_ideograph(char32_t c) {
  struct Block {
    char32_t low, high;
  };
  // The blocks that BERT's tokenizer sets apart; later extensions are not among them.
  constexpr std::array<Block, 8> kBlocks{{{0x4E00, 0x9FFF},
                                          {0x3400, 0x4DBF},
                                          {0x20000, 0x2A6DF},
                                          {0x2A700, 0x2B73F},
                                          {0x2B740, 0x2B81F},
                                          {0x2B920, 0x2CEAF},
                                          {0xF900, 0xFAFF},
                                          {0x2F800, 0x2FA1F}}};
  return std::any_of(kBlocks.begin(), kBlocks.end(),
                     [c](Block b) { return c >= b.low && c <= b.high; });
}

std::string lowercase(std::string_view text) {
  return unicode::map_points(text, unicode::append_lowercase);
}

std::string clean_for_bert(std::string_view text) {
  return unicode::map_points(text, [](std::string& out, char32_t c) {
    const bool line_space = c == '\t' || c == '\n' || c == '\r';
    if (c == 0xFFFD || (unicode::is_control(c) && !line_space)) return;
    append(out, line_space || unicode::is_space(c) ? U' ' : c);
  });
}

std::string separate_ideographs(std::string_view text) {
  return unicode::map_points(text, [](std::string& out, char32_t c) {
    const bool apart = is_ideograph(c);
    if (apart) out += ' ';
    append(out, c);
    if (apart) out += ' ';
  });
}

std::string without_marks(std::string_view text, bool (*is_dropped)(char32_t)) {
  return unicode::map_points(text, [&](std::string& out, char32_t c) {
    if (!is_dropped(c)) append(out, c);
  });
}

struct Apply {
  std::string_view text;

  std::string operator()(const normalizing::ToForm& step) const {
    return unicode::normalize(text, step.form);
  }
  std::string operator()(const normalizing::Lowercase&) const { return lowercase(text); }
  std::string operator()(const normalizing::StripAccents&) const {
    return without_marks(text, unicode::is_mark);
  }
  std::string operator()(const normalizing::StripSpace& step) const {
    std::string_view rest = text;
    while (step.left && !rest.empty() && unicode::is_space(unicode::first(rest).value)) {
      rest.remove_prefix(unicode::first(rest).size);
    }
    while (step.right && !rest.empty() && unicode::is_space(unicode::last(rest).value)) {
      rest.remove_suffix(unicode::last(rest).size);
    }
    return std::string(rest);
  }
  std::string operator()(const normalizing::Prepend& step) const {
    return text.empty() ? std::string() : step.text + std::string(text);
  }
  std::string operator()(const normalizing::Replace& step) const {
    std::string out;
    std::size_t at = 0;
    for (const PieceSpan match : step.pattern->find_all(text)) {
      out.append(text.substr(at, match.begin - at)).append(step.with);
      at = match.end;
    }
    return out.append(text.substr(at));
  }
  std::string operator()(const normalizing::Bert& step) const {
    std::string out(text);
    if (step.clean) out = clean_for_bert(out);
    if (step.separate_ideographs) out = separate_ideographs(out);
    if (step.strip_accents) {
      out = without_marks(unicode::normalize(out, unicode::Form::nfd), unicode::is_nonspacing_mark);
    }
    if (step.lowercase) out = lowercase(out);
    return out;
  }
};

}  // namespace

std::string Normalizer::apply(std::string_view text) const {
  std::string current(text);
  for (const normalizing::Step& step : steps_) current = std::visit(Apply{current}, step);
  return current;
}

}  // namespace plumb
