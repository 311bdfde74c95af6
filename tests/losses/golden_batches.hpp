#pragma once
#include "batches.hpp"

/// Batches as golden files describe them.
namespace plumb::test {

/// Summed log-probs without lengths: one token a response. References that the file lacks are 0.
PreferenceBatch plain_sums_batch(const nlohmann::json& c);

/// True where a mask of 0 and 1 is set.
std::vector<std::vector<bool>> mask_of(const nlohmann::json& mask);

/// True where a token of [S, T] has a label.
std::vector<std::vector<bool>> labelled(const nlohmann::json& labels, int ignored);

double mean(const Numbers& values);

}  // namespace plumb::test
