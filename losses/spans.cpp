#include "losses/spans.hpp"

#include <algorithm>

#include "losses/lcs.hpp"

namespace plumb {
namespace {

using Ids = std::span<const std::int32_t>;

std::vector<Match> match_tokens(Ids a, Ids b) {
  const std::int64_t shorter = std::min(std::ssize(a), std::ssize(b));
  std::int64_t prefix = 0, suffix = 0;
  while (prefix < shorter && a[prefix] == b[prefix]) ++prefix;
  while (suffix < shorter - prefix && a[a.size() - 1 - suffix] == b[b.size() - 1 - suffix])
    ++suffix;

  std::vector<Match> matches;
  for (std::int64_t i = 0; i < prefix; ++i) matches.push_back({i, i});
  const Ids a_middle = a.subspan(prefix, a.size() - prefix - suffix);
  const Ids b_middle = b.subspan(prefix, b.size() - prefix - suffix);
  for (const Match& match : longest_common_subsequence(a_middle, b_middle)) {
    matches.push_back({match.a + prefix, match.b + prefix});
  }
  for (std::int64_t i = suffix; i > 0; --i)
    matches.push_back({std::ssize(a) - i, std::ssize(b) - i});
  return matches;
}

/// Keeps the matches that lie in runs of at least `least`, where both indices step by one.
std::vector<Match> drop_short_runs(const std::vector<Match>& matches, std::int64_t least) {
  std::vector<Match> kept;
  std::size_t begin = 0;
  for (std::size_t i = 1; i <= matches.size(); ++i) {
    const bool run_goes_on = i < matches.size() && matches[i].a == matches[i - 1].a + 1 &&
                             matches[i].b == matches[i - 1].b + 1;
    if (run_goes_on) continue;
    if (static_cast<std::int64_t>(i - begin) >= least) {
      kept.insert(kept.end(), matches.begin() + begin, matches.begin() + i);
    }
    begin = i;
  }
  return kept;
}

std::vector<DiffSpan> gaps(const std::vector<Match>& matches, std::int64_t a_size,
                           std::int64_t b_size) {
  std::vector<DiffSpan> spans;
  std::int64_t a = 0, b = 0;
  const auto close = [&](std::int64_t a_end, std::int64_t b_end) {
    if (a < a_end || b < b_end) spans.push_back({a, a_end, b, b_end});
    a = a_end + 1;
    b = b_end + 1;
  };
  for (const Match& match : matches) close(match.a, match.b);
  close(a_size, b_size);
  return spans;
}

bool is_one_sided(const DiffSpan& span) {
  return span.chosen_begin == span.chosen_end || span.rejected_begin == span.rejected_end;
}

/// Widens one-sided spans by the common token before and after them; spans that then overlap become
/// one.
std::vector<DiffSpan> anchored(const std::vector<DiffSpan>& spans, std::int64_t a_size,
                               std::int64_t b_size) {
  std::vector<DiffSpan> out;
  for (DiffSpan span : spans) {
    if (is_one_sided(span)) {
      if (span.chosen_begin > 0 && span.rejected_begin > 0)
        --span.chosen_begin, --span.rejected_begin;
      if (span.chosen_end < a_size && span.rejected_end < b_size)
        ++span.chosen_end, ++span.rejected_end;
    }
    if (!out.empty() && span.chosen_begin < out.back().chosen_end) {
      out.back().chosen_end = span.chosen_end;
      out.back().rejected_end = span.rejected_end;
    } else {
      out.push_back(span);
    }
  }
  return out;
}

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

SpanDiff find_spans(Ids chosen, Ids rejected, const SpanOptions& options) {
  const std::int64_t a_size = std::ssize(chosen), b_size = std::ssize(rejected);
  if (std::equal(chosen.begin(), chosen.end(), rejected.begin(), rejected.end())) return {};
  const std::vector<Match> matches =
      drop_short_runs(match_tokens(chosen, rejected), options.min_match);

  SpanDiff diff{.spans = gaps(matches, a_size, b_size)};
  if (options.one_sided == "drop") std::erase_if(diff.spans, is_one_sided);
  if (options.one_sided == "anchor") diff.spans = anchored(diff.spans, a_size, b_size);

  std::int64_t a_covered = 0, b_covered = 0;
  for (const DiffSpan& span : diff.spans) {
    a_covered += span.chosen_end - span.chosen_begin;
    b_covered += span.rejected_end - span.rejected_begin;
  }
  diff.chosen_coverage = share(a_covered, a_size);
  diff.rejected_coverage = share(b_covered, b_size);
  if (std::max(diff.chosen_coverage, diff.rejected_coverage) > options.max_coverage) {
    diff.spans = {{0, a_size, 0, b_size}};
    diff.whole = true;
  }
  return diff;
}

}  // namespace plumb
