#pragma once
#include <memory>
#include <stdexcept>
#include <string>

#include "rewards/language_model.hpp"
#include "rewards/reward.hpp"
#include "support/files.hpp"
#include "support/tiny_policy.hpp"

namespace plumb::test {

/// A random model of its own weights under the name that stands for their hash.
inline std::shared_ptr<const LanguageModel> tiny_model(std::uint64_t seed,
                                                       const std::string& hash) {
  TempDir dir;
  write_tiny_policy(dir / "model", seed);
  LanguageModel model = *load_language_model(dir / "model", kernels::Precision::kFloat32);
  model.content_hash = hash;
  return std::make_shared<LanguageModel>(std::move(model));
}

/// One factor of a score; throws if it has none of the name.
inline double component(const Score& score, const std::string& name) {
  for (const auto& [key, value] : score.components) {
    if (key == name) return value;
  }
  throw std::runtime_error("no component " + name);
}

}  // namespace plumb::test
