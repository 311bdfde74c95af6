#include "rewards/token_scores.hpp"

#include <cmath>
#include <numeric>

#include "core/error.hpp"

namespace plumb {

double sum_of(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

std::vector<float> difference(std::span<const float> a, std::span<const float> b) {
  expects(a.size() == b.size(), "values of the same tokens");
  std::vector<float> out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = a[i] - b[i];
  return out;
}

double contrastive_reward(double better, double worse) {
  return 0.5 * std::tanh((better - worse) / 2);
}

}  // namespace plumb
