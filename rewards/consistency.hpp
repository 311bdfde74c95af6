#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/options.hpp"

/// CREAM, Consistency Regularized Self-Rewarding Language Models (arXiv 2410.12735): how far two
/// models agree on the order of the same responses, and the soft preference label that follows.
namespace plumb {

struct ConsistencyOptions {
  std::string method = "kendall";
  std::string ties = "raw";
  std::string rate = "off";
  double fixed_rate = 1.0;
  double min_rate = 0.0;

  static void describe(auto& self, auto&& field) {
    field("method", self.method,
          Choices{{"kendall", "kendall_b", "spearman", "toporder", "toporder_released"}},
          "how agreement is measured; toporder = same best and same worst response, "
          "toporder_released = as the "
          "authors' code computes it");
    field("ties", self.ties, Choices{{"raw", "ordinal"}},
          "equal scores: raw = no information, ordinal = ranked by position (the authors' code)");
    field("rate", self.rate, Choices{{"off", "avg", "dyn", "fixed"}},
          "CREAM: how far the policy and the one before it agree on the order of a prompt's "
          "responses is measured and becomes the soft label of pairs: the mean over all prompts, "
          "the prompt's own, or fixed_rate in spite of it; off = not measured, label "
          "pair.soft_label; else `cream` must be among score.modules");
    field("fixed_rate", self.fixed_rate, Range{0, 1}, "label of all pairs with rate = fixed");
    field("min_rate", self.min_rate, Range{0, 1},
          "smallest label of avg and dyn; below 1/2 a pair pulls towards its rejected response");
  }
};

/// Agreement c in [0, 1] of two models' scores of the same responses: (tau + 1) / 2, (rho + 1) / 2,
/// or 0 and 1. Empty for fewer than two responses, lists of different lengths, missing or
/// non-finite scores, and where the coefficient is not defined.
std::optional<double> consistency(std::span<const std::optional<double>> current,
                                  std::span<const std::optional<double>> previous,
                                  const ConsistencyOptions& options);

/// Label C of the pairs of each prompt, by a rate other than off. Prompts without agreement get the
/// mean of the others. Throws DataError if no prompt has one (not with rate = fixed).
std::vector<double> cream_rates(std::span<const std::optional<double>> agreement,
                                const ConsistencyOptions& options);

}  // namespace plumb
