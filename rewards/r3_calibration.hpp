#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rewards/r3.hpp"

namespace plumb {

struct AnsweredReference {
  std::string reference;
  std::string response;
};

/// Fit of the line F of R^3 to an encoder and a policy.
struct R3Calibration {
  std::int64_t measured = 0;
  std::int64_t skipped = 0;                          // empty or unreadable texts
  double in_end = 0;                                 // 99th percentile of r_y
  double out_end = 0;                                // what F(in_end) will be
  std::vector<std::pair<double, double>> quantiles;  // (share, r_y)
  std::string content_hash;                          // of what measured the relevance
  /// Lines for a config file: the section [r3] with closed_in and closed_out_end.
  std::string config() const;
  /// All of it as a JSON object.
  std::string json() const;
};

/// Quantile of a sample with linear interpolation at share * (n - 1), as numpy.quantile's default.
/// @param sorted  ascending, not empty   @param share  in [0, 1]
double quantile(std::span<const double> sorted, double share);

/// Measures r_y of every (reference, sampled response) as the module's constrained branch does.
/// Throws DataError if fewer than two pairs can be measured or their 99th percentile is not
/// positive; UsageError if the module has no constrained branch.
R3Calibration calibrate_r3(const R3Reward& module, std::span<const AnsweredReference> pairs);

}  // namespace plumb
