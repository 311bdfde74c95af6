#include "train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace plumb {

double learning_rate(const TrainOptions& options, std::int64_t step, std::int64_t total) {
  const double warmup = options.warmup_steps < 1.0
                            ? std::ceil(options.warmup_steps * static_cast<double>(total))
                            : options.warmup_steps;
  const auto now = static_cast<double>(step);
  if (now < warmup) return options.learning_rate * now / std::max(1.0, warmup);
  if (options.lr_scheduler_type == "constant") return options.learning_rate;
  const double progress = (now - warmup) / std::max(1.0, static_cast<double>(total) - warmup);
  if (options.lr_scheduler_type == "linear")
    return options.learning_rate * std::max(0.0, 1.0 - progress);
  return options.learning_rate * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
}

}  // namespace plumb
