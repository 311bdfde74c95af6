#pragma once
#include <cstdint>

#include "train/train_options.hpp"

namespace plumb {

/// Learning rate of an optimizer step, as transformers' schedulers give it.
/// @param step   0-based    @param total  number of steps of this training
double learning_rate(const TrainOptions& options, std::int64_t step, std::int64_t total);

}  // namespace plumb
