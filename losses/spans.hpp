#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/options.hpp"

/// Key spans for RRPO: where two responses differ, found on their token ids alone.
namespace plumb {

struct SpanOptions {
  std::int64_t min_match = 1;
  std::string one_sided = "drop";
  double max_coverage = 0.9;
  static void describe(auto& self, auto&& field) {
    field("min_match", self.min_match, Range{1, 1e6},
          "common runs of fewer tokens count as different (1: RRPO's code, 3: DDPO's)");
    field("one_sided", self.one_sided, Choices{{"drop", "keep", "anchor"}},
          "insertions and deletions: drop, keep with an empty side, or widen by a common token at "
          "each end");
    field("max_coverage", self.max_coverage, Range{0.0, 1.0},
          "if spans cover more of a response, both responses count whole");
  }
};

/// Tokens [chosen_begin, chosen_end) stand against [rejected_begin, rejected_end). At most one side
/// is empty.
struct DiffSpan {
  std::int64_t chosen_begin = 0, chosen_end = 0;
  std::int64_t rejected_begin = 0, rejected_end = 0;
  bool operator==(const DiffSpan&) const = default;
};

struct SpanDiff {
  std::vector<DiffSpan> spans;   // ascending, disjoint
  double chosen_coverage = 0.0;  // share of tokens in spans, before the coverage guard
  double rejected_coverage = 0.0;
  bool whole = false;  // the coverage guard made one span of everything
};

/// Finds the spans in which two responses differ. Common prefix and suffix are matched first, then
/// a longest common subsequence of the middle; of several, the one that matches the earliest chosen
/// tokens, then the earliest rejected ones. Common runs shorter than min_match are dropped, unless
/// the responses are equal. Deterministic; time and memory grow with the product of the lengths
/// over 64.
/// @param chosen, rejected  token ids of the responses, without prompt
SpanDiff find_spans(std::span<const std::int32_t> chosen, std::span<const std::int32_t> rejected,
                    const SpanOptions& options = {});

}  // namespace plumb
