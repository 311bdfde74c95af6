#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

/// Several rewards of the same responses made into one order. A list holds one score a response of
/// one prompt.
namespace plumb {

using OptionalScores = std::vector<std::optional<double>>;

/// (score - mean) / (population standard deviation + 1e-6) over the responses that have a score;
/// all 0 if the deviation is below 1e-8. Missing scores stay missing.
OptionalScores z_scores(std::span<const std::optional<double>> scores);

struct WeightedScores {
  double weight = 1;
  OptionalScores scores;
};

/// Sum of weight * z-score. A response without a score in a module of non-zero weight gets none.
/// All modules must have lists of one length.
OptionalScores mix_scores(std::span<const WeightedScores> modules);

/// Place of each response, 1 = highest score; of equal scores the earlier response comes first.
std::vector<int> places(std::span<const double> scores);

/// Borda count: sum over the modules of (responses - place).
std::vector<double> borda(std::span<const std::vector<double>> modules);

/// Share of the modules that score response `better` above response `worse`.
double ordered_share(std::span<const std::vector<double>> modules, std::size_t better,
                     std::size_t worse);

/// How many responses of one group (a temperature, an iteration, ...) a committee may hold.
struct GroupLimit {
  std::size_t low = 0;
  std::size_t high = static_cast<std::size_t>(-1);
};

/// Greedy Chamberlin-Courant committee of k responses: maximises the sum over modules of the best
/// Borda score among the chosen ones (submodular: at least 1 - 1/e of the optimum without limits).
/// Ties go to the earlier response.
/// @param groups  group of each response, an index into `limits`; empty: no limits
/// @return chosen responses in order of choice. Throws DataError if the limits cannot be met.
std::vector<std::size_t> chamberlin_courant(std::span<const std::vector<double>> modules,
                                            std::size_t k, std::span<const std::size_t> groups = {},
                                            std::span<const GroupLimit> limits = {});

}  // namespace plumb
