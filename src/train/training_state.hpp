#pragma once
#include <cstdint>
#include <filesystem>
#include <vector>

#include "model/decoder.hpp"

namespace plumb {

/// Where a training stands, and what identifies it.
struct TrainingPosition {
  std::int64_t steps_done = 0;
  std::int64_t total_steps = 0;
  std::uint64_t order_seed = 0;
  std::int64_t pairs = 0;
};

/// Writes weights and Adam's moments (float32), the loss's history of the pairs (float64, or
/// undefined) and the position into a folder, whole or not at all.
void write_training_state(const std::filesystem::path& folder, const TrainingPosition& position,
                          const std::vector<NamedParameter>& parameters,
                          const std::vector<at::Tensor>& first_moments,
                          const std::vector<at::Tensor>& second_moments, const at::Tensor& history);

/// Fills parameters, moments and history (if it is defined) in place. @return steps done
/// Throws DataError if the folder belongs to another plan (total steps, order, pairs) or model.
std::int64_t read_training_state(const std::filesystem::path& folder,
                                 const TrainingPosition& expected,
                                 std::vector<NamedParameter>& parameters,
                                 std::vector<at::Tensor>& first_moments,
                                 std::vector<at::Tensor>& second_moments, at::Tensor& history);

}  // namespace plumb
