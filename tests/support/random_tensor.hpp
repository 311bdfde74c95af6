#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>

#include "core/rng.hpp"

namespace plumb::test {

/// Standard normal values times `scale`, the same on every machine (Box-Muller over a counter-based
/// stream).
inline at::Tensor random_tensor(at::IntArrayRef shape, std::uint64_t seed, double scale = 1.0) {
  const RandomStream stream(seed, 0, 0);
  at::Tensor tensor = at::empty(shape, at::kFloat);
  float* values = tensor.data_ptr<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const auto at = static_cast<std::uint64_t>(i);
    const double radius = std::sqrt(-2.0 * std::log(1.0 - stream.uniform(2 * at)));
    const double angle = 2.0 * std::numbers::pi * stream.uniform(2 * at + 1);
    values[i] = static_cast<float>(scale * radius * std::cos(angle));
  }
  return tensor;
}

}  // namespace plumb::test
