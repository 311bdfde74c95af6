#include "rewards/r3_formula.hpp"

#include <string>
#include <vector>

#include "core/error.hpp"

namespace plumb {
namespace {

/// The authors' end of the line for Contriever's dot products; cosines end at 1.
constexpr double kContrieverHigh = 3.5;

std::vector<double> input_ends(const R3Options& options) {
  if (options.closed_in.empty()) {
    return {0, measures_dot(options) ? kContrieverHigh : 1};
  }
  if (options.closed_in.size() != 2 || !(options.closed_in[0] < options.closed_in[1])) {
    throw UsageError(
        cat("r3.closed_in = ", option_detail::format(options.closed_in),
            ": expected two ascending numbers, e.g. 0, 0.9 (`plumb calibrate` prints them)"));
  }
  return options.closed_in;
}

}  // namespace

const char* r3_branch_name(R3Branch branch) {
  switch (branch) {
    case R3Branch::kOpen:
      return "open";
    case R3Branch::kConstrained:
      return "constrained";
    case R3Branch::kRelevanceOnly:
      return "relevance_only";
  }
  throw InternalError("unknown branch");
}

double r3_line(double value, double in_low, double in_high, double out_high) {
  return (value - in_low) / (in_high - in_low) * out_high;
}

R3Formula::R3Formula(const R3Options& options, std::int64_t max_new_tokens)
    : parts_(r3_parts(options)) {
  const std::vector<double> ends = input_ends(options);
  in_low_ = ends[0];
  in_high_ = ends[1];
  out_high_ = options.closed_out_end > 0 ? options.closed_out_end
                                         : static_cast<double>(max_new_tokens) / 100;
}

double R3Formula::value(R3Branch branch, const R3Factors& factors) const {
  const double length = parts_.length ? factors.length_incentive : 1;
  const double repetition = parts_.repetition ? factors.repetition_penalty : 1;
  if (!parts_.relevance) return length * repetition;
  if (branch == R3Branch::kConstrained) return f(factors.relevance) * repetition;
  if (branch == R3Branch::kRelevanceOnly) return factors.relevance * repetition;
  return length * factors.relevance * repetition;
}

}  // namespace plumb
