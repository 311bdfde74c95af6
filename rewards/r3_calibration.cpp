#include "rewards/r3_calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb {
namespace {

constexpr double kEndShare = 0.99;
constexpr std::array kReportedShares{0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, kEndShare, 1.0};

std::optional<double> relevance_of(const Score& score) {
  for (const auto& [name, value] : score.components) {
    if (name == "relevance") return value;
  }
  return std::nullopt;
}

}  // namespace

double quantile(std::span<const double> sorted, double share) {
  expects(!sorted.empty() && share >= 0 && share <= 1, "values and a share in [0, 1]");
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

std::string R3Calibration::json() const {
  std::string shares;
  for (const auto& [share, value] : quantiles) {
    shares += cat(shares.empty() ? "" : ", ", "\"", option_detail::format(share),
                  "\": ", option_detail::format(value));
  }
  return cat("{\"measured\": ", measured, ", \"skipped\": ", skipped, ", \"closed_in\": [0, ",
             option_detail::format(in_end),
             "], \"closed_out_end\": ", option_detail::format(out_end), ", \"content_hash\": \"",
             content_hash, "\", \"quantiles\": {", shares, "}}");
}

std::string R3Calibration::config() const {
  return cat("[r3]\nclosed_in = 0, ", option_detail::format(in_end),
             "\nclosed_out_end = ", option_detail::format(out_end), "\n");
}

R3Calibration calibrate_r3(const R3Reward& module, std::span<const AnsweredReference> pairs) {
  if (!module.formula().parts().branching) {
    throw UsageError(
        "calibration fits the constrained branch: it needs an r3.mode that has one, "
        "r3.relevance_scaling = true and r3.reward_branching = true");
  }
  std::vector<RewardSample> samples;
  for (const auto& [reference, response] : pairs) {
    if (trim(reference).empty() || trim(response).empty()) continue;
    RewardSample& sample = samples.emplace_back();
    sample.response = response;
    sample.reference = reference;
    sample.kind = "constrained";
  }
  R3Options options = module.options();
  options.mode = "r3";
  options.kind.source = {"column"};
  const R3Reward constrained(options, module.backend(), 1);
  std::vector<double> values;
  for (const Score& score : constrained.score(samples)) {
    if (const auto relevance = relevance_of(score)) values.push_back(*relevance);
  }
  if (values.size() < 2) {
    throw DataError(
        cat("calibration: ", values.size(), " of ", pairs.size(),
            " pairs have a reference and a response that can be compared; at least 2 are needed"));
  }
  std::sort(values.begin(), values.end());

  R3Calibration result;
  result.measured = static_cast<std::int64_t>(values.size());
  result.skipped = static_cast<std::int64_t>(pairs.size() - values.size());
  for (const double share : kReportedShares) {
    result.quantiles.emplace_back(share, quantile(values, share));
  }
  result.content_hash = module.backend()->content_hash();
  result.in_end = quantile(values, kEndShare);
  result.out_end = module.formula().out_end();
  if (!(result.in_end > 0)) {
    throw DataError(
        cat("calibration: the 99th percentile of the relevance is ", result.in_end,
            ", expected more than 0; are references and responses in the same language?"));
  }
  return result;
}

}  // namespace plumb
