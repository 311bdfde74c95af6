#include "model/rope_table.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.hpp"

namespace plumb {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

double original_positions(const ModelConfig& config) {
  const std::int64_t stated = config.rope_scaling.original_max_position;
  return static_cast<double>(stated > 0 ? stated : config.max_position_embeddings);
}

/// Long waves are slowed down by the factor, short ones kept, those between blended.
double llama3(double frequency, const RopeScaling& scaling, double original) {
  const double wave = kTwoPi / frequency;
  if (wave < original / scaling.high_freq_factor) return frequency;
  if (wave > original / scaling.low_freq_factor) return frequency / scaling.factor;
  const double blend = (original / wave - scaling.low_freq_factor) /
                       (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1.0 - blend) * frequency / scaling.factor + blend * frequency;
}

/// Blends interpolated and original frequencies along a ramp over the pair index.
void yarn(std::vector<double>& frequencies, const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto width = static_cast<double>(config.head_dim);
  const auto pair_turning = [&](double turns) {
    return width * std::log(original_positions(config) / (turns * kTwoPi)) /
           (2.0 * std::log(config.rope_theta));
  };
  const double low = std::max(0.0, std::floor(pair_turning(scaling.beta_fast)));
  double high = std::min(width - 1.0, std::ceil(pair_turning(scaling.beta_slow)));
  if (high == low) high += 0.001;
  for (std::size_t k = 0; k < frequencies.size(); ++k) {
    const double ramp = std::clamp((static_cast<double>(k) - low) / (high - low), 0.0, 1.0);
    frequencies[k] = frequencies[k] / scaling.factor * ramp + frequencies[k] * (1.0 - ramp);
  }
}

}  // namespace

std::vector<double> rope_frequencies(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  std::vector<double> frequencies(static_cast<std::size_t>(config.head_dim / 2));
  for (std::size_t k = 0; k < frequencies.size(); ++k) {
    const double exponent = -2.0 * static_cast<double>(k) / static_cast<double>(config.head_dim);
    frequencies[k] = std::pow(config.rope_theta, exponent);
  }
  if (scaling.type == "linear") {
    for (double& frequency : frequencies) frequency /= scaling.factor;
  } else if (scaling.type == "llama3") {
    for (double& frequency : frequencies) {
      frequency = llama3(frequency, scaling, original_positions(config));
    }
  } else if (scaling.type == "yarn") {
    yarn(frequencies, config);
  } else if (scaling.type != "default") {
    throw DataError(cat("RoPE scaling \"", scaling.type,
                        "\" is not supported; known: default, linear, llama3, yarn"));
  }
  if (!scaling.frequency_divisors.empty()) {
    if (scaling.frequency_divisors.size() != frequencies.size()) {
      throw DataError(cat("rope_freqs.weight has ", scaling.frequency_divisors.size(),
                          " values, expected head_dim / 2 = ", frequencies.size()));
    }
    for (std::size_t k = 0; k < frequencies.size(); ++k) {
      frequencies[k] /= scaling.frequency_divisors[k];
    }
  }
  return frequencies;
}

double rope_attention_factor(const RopeScaling& scaling) {
  if (scaling.type != "yarn") return 1.0;
  if (scaling.attention_factor > 0.0) return scaling.attention_factor;
  return scaling.factor <= 1.0 ? 1.0 : 0.1 * std::log(scaling.factor) + 1.0;
}

RopeTable make_rope_table(const ModelConfig& config) {
  const std::vector<double> frequencies = rope_frequencies(config);
  const auto pairs = static_cast<std::int64_t>(frequencies.size());
  const auto factor = static_cast<float>(rope_attention_factor(config.rope_scaling));
  RopeTable table{at::empty({config.max_position_embeddings, pairs}, at::kFloat),
                  at::empty({config.max_position_embeddings, pairs}, at::kFloat)};
  float* cosine = table.cosine.data_ptr<float>();
  float* sine = table.sine.data_ptr<float>();
  at::parallel_for(
      0, config.max_position_embeddings, 64, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t position = first; position < last; ++position) {
          for (std::int64_t k = 0; k < pairs; ++k) {
            // Angles in float32, as the models were trained: at far positions a float64 angle
            // differs by 1e-3.
            const float angle = static_cast<float>(position) * static_cast<float>(frequencies[k]);
            cosine[position * pairs + k] = std::cos(angle) * factor;
            sine[position * pairs + k] = std::sin(angle) * factor;
          }
        }
      });
  return table;
}

}  // namespace plumb
