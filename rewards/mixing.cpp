#include "rewards/mixing.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.hpp"
#include "rewards/rank_agreement.hpp"

namespace plumb {
namespace {

constexpr double kDeviationFloor = 1e-6;
constexpr double kNoSpread = 1e-8;

/// Which responses may still join a committee without breaking the limits of their groups.
class Committee {
 public:
  Committee(std::size_t responses, std::size_t k, std::span<const std::size_t> groups,
            std::span<const GroupLimit> limits)
      : groups_(groups), limits_(limits), chosen_(limits.size()), free_(k) {
    std::vector<std::size_t> sizes(limits.size());
    for (const std::size_t group : groups) ++sizes[group];
    std::size_t least = 0, most = groups.empty() ? responses : 0;
    for (std::size_t g = 0; g < limits.size(); ++g) {
      least += limits[g].low;
      most += std::min(limits[g].high, sizes[g]);
      if (limits[g].low > std::min(limits[g].high, sizes[g])) {
        throw DataError(cat("committee: group ", g, " must give at least ", limits[g].low,
                            " responses, has ", sizes[g], " and may give at most ",
                            limits[g].high));
      }
    }
    if (k < least || k > most) {
      throw DataError(cat("committee: ", k, " responses asked for, the group limits allow ", least,
                          " to ", most));
    }
  }

  bool allows(std::size_t response) const {
    if (groups_.empty()) return true;
    const std::size_t group = groups_[response];
    if (chosen_[group] >= limits_[group].high) return false;
    std::size_t owed = 0;
    for (std::size_t g = 0; g < limits_.size(); ++g) {
      const std::size_t held = chosen_[g] + (g == group ? 1 : 0);
      owed += limits_[g].low > held ? limits_[g].low - held : 0;
    }
    return owed < free_;
  }

  void add(std::size_t response) {
    if (!groups_.empty()) ++chosen_[groups_[response]];
    --free_;
  }

 private:
  std::span<const std::size_t> groups_;
  std::span<const GroupLimit> limits_;
  std::vector<std::size_t> chosen_;
  std::size_t free_;
};

std::size_t response_count(std::span<const std::vector<double>> modules) {
  expects(!modules.empty(), "at least one module");
  for (const auto& scores : modules) {
    expects(scores.size() == modules[0].size(), "lists of one length");
  }
  return modules[0].size();
}

}  // namespace

OptionalScores z_scores(std::span<const std::optional<double>> scores) {
  double sum = 0, squares = 0;
  std::size_t count = 0;
  for (const auto& score : scores) {
    if (!score) continue;
    sum += *score;
    ++count;
  }
  const double mean = count == 0 ? 0 : sum / static_cast<double>(count);
  for (const auto& score : scores) squares += score ? (*score - mean) * (*score - mean) : 0;
  const double deviation = count == 0 ? 0 : std::sqrt(squares / static_cast<double>(count));
  OptionalScores z(scores.begin(), scores.end());
  for (auto& score : z) {
    if (score) score = deviation < kNoSpread ? 0 : (*score - mean) / (deviation + kDeviationFloor);
  }
  return z;
}

OptionalScores mix_scores(std::span<const WeightedScores> modules) {
  expects(!modules.empty(), "at least one module");
  OptionalScores mixed(modules[0].scores.size(), 0.0);
  for (const WeightedScores& module : modules) {
    expects(module.scores.size() == mixed.size(), "lists of one length");
    if (module.weight == 0) continue;
    const OptionalScores z = z_scores(module.scores);
    for (std::size_t i = 0; i < z.size(); ++i) {
      if (!z[i]) mixed[i].reset();
      if (mixed[i]) *mixed[i] += module.weight * *z[i];
    }
  }
  return mixed;
}

std::vector<int> places(std::span<const double> scores) {
  std::vector<double> worse_first(scores.size());
  std::transform(scores.begin(), scores.end(), worse_first.begin(), std::negate<>());
  return ranks_ordinal(worse_first);
}

std::vector<double> borda(std::span<const std::vector<double>> modules) {
  const std::size_t responses = response_count(modules);
  std::vector<double> points(responses);
  for (const auto& scores : modules) {
    const std::vector<int> place = places(scores);
    for (std::size_t i = 0; i < responses; ++i) {
      points[i] += static_cast<double>(responses) - place[i];
    }
  }
  return points;
}

double ordered_share(std::span<const std::vector<double>> modules, std::size_t better,
                     std::size_t worse) {
  expects(std::max(better, worse) < response_count(modules), "responses of the group");
  const auto agree = std::count_if(modules.begin(), modules.end(), [&](const auto& scores) {
    return scores[better] > scores[worse];
  });
  return static_cast<double>(agree) / static_cast<double>(modules.size());
}

std::vector<std::size_t> chamberlin_courant(std::span<const std::vector<double>> modules,
                                            std::size_t k, std::span<const std::size_t> groups,
                                            std::span<const GroupLimit> limits) {
  const std::size_t responses = response_count(modules);
  expects(groups.empty() || groups.size() == responses, "a group for each response");
  for (const std::size_t group : groups) expects(group < limits.size(), "limits for each group");
  Committee committee(responses, k, groups,
                      groups.empty() ? std::span<const GroupLimit>{} : limits);

  std::vector<std::vector<int>> place;
  for (const auto& scores : modules) place.push_back(places(scores));
  // Before the first choice every module is as satisfied as with its last place.
  std::vector<int> best_place(modules.size(), static_cast<int>(responses));
  std::vector<bool> chosen(responses);
  std::vector<std::size_t> order;
  while (order.size() < k) {
    std::size_t next = responses;
    int next_gain = -1;
    for (std::size_t c = 0; c < responses; ++c) {
      if (chosen[c] || !committee.allows(c)) continue;
      int gain = 0;
      for (std::size_t i = 0; i < place.size(); ++i) {
        gain += std::max(0, best_place[i] - place[i][c]);
      }
      if (gain > next_gain) {
        next = c;
        next_gain = gain;
      }
    }
    expects(next < responses, "a response that the limits allow");
    chosen[next] = true;
    committee.add(next);
    order.push_back(next);
    for (std::size_t i = 0; i < place.size(); ++i) {
      best_place[i] = std::min(best_place[i], place[i][next]);
    }
  }
  return order;
}

}  // namespace plumb
