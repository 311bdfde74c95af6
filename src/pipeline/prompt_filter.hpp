#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/options.hpp"

namespace plumb {

/// Section [filter]: prompts whose responses carry no signal are left out before pairs are made.
struct FilterOptions {
  std::string rule = "none";
  std::string module;
  std::string threshold = "quantile";
  double best = 0.3;
  double spread = 0.05;
  std::int64_t retry = 3;
  double min_kept = 0.05;

  static void describe(auto& self, auto&& field) {
    field("rule", self.rule, Choices{{"none", "rollout"}},
          "rollout: make no pair from prompts whose best response is too poor or whose responses "
          "are scored alike, and do not sample them for a while");
    field("module", self.module,
          "reward module that is looked at; empty: the first that pairs go by");
    field("threshold", self.threshold, Choices{{"quantile", "value"}},
          "what filter.best is: a quantile of all training scores of the iteration, or a score "
          "(0.5 for a reward of 0 and 1)");
    field("best", self.best, Range{-1e9, 1e9}, "the prompt's best score must reach this");
    field("spread", self.spread, Range{0, 1e9},
          "best and worst must differ by this many standard deviations of all scores");
    field("retry", self.retry, Range{0, 1e6},
          "dropped prompts are sampled again in every so many-th iteration; 0: never");
    field("min_kept", self.min_kept, Range{0, 1},
          "stop the run if a smaller share of the sampled prompts is kept");
  }
};

/// Limits of one iteration, in units of the reward.
struct FilterLimits {
  double best = 0.0;    // tau
  double spread = 0.0;  // eps
};

/// Limits from all training scores of an iteration (population standard deviation; the quantile
/// interpolates as numpy's does). Throws UsageError if filter.best is no share where a quantile is
/// asked for. No scores give zeros.
FilterLimits filter_limits(std::span<const double> scores, const FilterOptions& options);

/// Rollout-based instance filtering ("RFT naturally mitigates forgetting", and its README;
/// thresholds ours). A prompt is kept iff it has n >= 2 scores, max >= best, max - min >= spread,
/// and max > min.
/// @return why it is dropped: too_few, hopeless (the best is too poor) or flat (all alike); empty =
/// kept
std::optional<std::string> filter_reason(std::span<const double> scores,
                                         const FilterLimits& limits);

}  // namespace plumb
