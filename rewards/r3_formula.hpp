#pragma once
#include <cstdint>

#include "rewards/r3_options.hpp"

namespace plumb {

/// Which formula a response is scored by.
enum class R3Branch { kOpen, kConstrained, kRelevanceOnly };
const char* r3_branch_name(R3Branch branch);

/// F of R^3: the line through (in_low, 0) and (in_high, out_high), not clamped.
double r3_line(double value, double in_low, double in_high, double out_high);

/// Measured factors of one response, before any switch.
struct R3Factors {
  double relevance = 1;           // r_x (query, response) or r_y (reference, response)
  double length_incentive = 0;    // LI
  double repetition_penalty = 1;  // RP
};

/// Regularized Relevance Reward, arXiv 2402.03469, with the switches of the authors' code.
///
///   open            relevance * LI * RP
///   constrained     F(relevance) * RP
///   relevance only  relevance * RP
///
/// A factor that does not count (R3Parts) is 1. Without relevance every branch is LI * RP.
class R3Formula {
 public:
  /// @param max_new_tokens  longest response of the policy; gives closed_out_end where that is 0
  /// Throws UsageError if closed_in is not two ascending numbers.
  R3Formula(const R3Options& options, std::int64_t max_new_tokens);
  double value(R3Branch branch, const R3Factors& factors) const;
  double out_end() const { return out_high_; }
  const R3Parts& parts() const { return parts_; }
  double f(double relevance) const { return r3_line(relevance, in_low_, in_high_, out_high_); }

 private:
  R3Parts parts_;
  double in_low_, in_high_, out_high_;
};

}  // namespace plumb
