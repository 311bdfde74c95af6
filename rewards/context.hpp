#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "model/encoder.hpp"

namespace plumb {

/// Turns a model argument of a config into a path, e.g. a hub id into its folder of the local
/// cache.
using LocateModel = std::function<std::filesystem::path(const std::string&)>;

/// What the reward modules of a run share: loaded models and facts about the policy. Safe to use
/// from several threads.
class RewardContext {
 public:
  /// @param max_new_tokens  longest response of the policy
  explicit RewardContext(std::int64_t max_new_tokens = 512, LocateModel locate = {});
  std::int64_t max_new_tokens() const { return max_new_tokens_; }
  /// The encoder of a folder, loaded once. Throws DataError as Encoder::load does.
  std::shared_ptr<const Encoder> encoder(const std::string& model);

 private:
  std::filesystem::path located(const std::string& model) const;

  std::int64_t max_new_tokens_;
  LocateModel locate_;
  std::mutex mutex_;
  std::map<std::filesystem::path, std::shared_ptr<const Encoder>> encoders_;
};

}  // namespace plumb
