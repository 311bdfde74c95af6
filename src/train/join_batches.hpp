#pragma once
#include <vector>

#include "losses/loss.hpp"

namespace plumb {

/// The micro-batches of a step as one batch, for losses that couple its pairs.
PreferenceBatch join_batches(const std::vector<PreferenceBatch>& parts);

/// The inputs of a batch that carry gradient, where they are there; always in the same order.
std::vector<at::Tensor*> differentiable(PreferenceBatch& batch);

}  // namespace plumb
