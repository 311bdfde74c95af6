#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "model/encoder.hpp"
#include "rewards/language_model.hpp"

namespace plumb {

/// Turns a model argument of a config into a path, e.g. a hub id into its folder of the local
/// cache.
using LocateModel = std::function<std::filesystem::path(const std::string&)>;

/// What the reward modules of a run share: loaded models and facts about the policy. Safe to use
/// from several threads.
class RewardContext {
 public:
  /// @param max_new_tokens  longest response of the policy
  /// @param precision       of language models that are loaded
  explicit RewardContext(std::int64_t max_new_tokens = 512, LocateModel locate = {},
                         kernels::Precision precision = kernels::Precision::kFloat32);
  std::int64_t max_new_tokens() const { return max_new_tokens_; }
  /// The encoder of a folder, loaded once. Throws DataError as Encoder::load does.
  std::shared_ptr<const Encoder> encoder(const std::string& model);
  /// Offers a model that is already loaded, e.g. the run's reference policy, under a name that
  /// options may use.
  void share(const std::string& name, std::shared_ptr<const LanguageModel> model);
  /// The shared model of this name, else the decoder LM at this place, loaded once. Throws
  /// DataError.
  std::shared_ptr<const LanguageModel> language_model(const std::string& model);

 private:
  std::filesystem::path located(const std::string& model) const;

  std::int64_t max_new_tokens_;
  LocateModel locate_;
  kernels::Precision precision_;
  std::mutex mutex_;
  std::map<std::filesystem::path, std::shared_ptr<const Encoder>> encoders_;
  std::map<std::string, std::shared_ptr<const LanguageModel>> shared_;
  std::map<std::filesystem::path, std::shared_ptr<const LanguageModel>> language_models_;
};

}  // namespace plumb
