#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "model/encoder.hpp"
#include "rewards/language_model.hpp"

namespace plumb {

/// Turns a model argument of a config into a path, e.g. a hub id into its folder of the local
/// cache.
using LocateModel = std::function<std::filesystem::path(const std::string&)>;

/// Names by which options ask for a model of the run they belong to: policy (what the iteration
/// samples from), previous (the same of the iteration before), initial (what the first iteration
/// begins with), base (the model as it was given, before a supervised stage), reference (what the
/// iteration's loss is anchored to).
const std::vector<std::string>& run_model_names();

/// The model of the run with one of these names, or whose files lie at a path; null if the run has
/// no such model.
using ProvideModel = std::function<std::shared_ptr<const LanguageModel>(const std::string&)>;

/// What the reward modules of a run share: loaded models and facts about the policy. Safe to use
/// from several threads.
class RewardContext {
 public:
  /// @param max_new_tokens  longest response of the policy
  /// @param precision, device  of language models that are loaded
  explicit RewardContext(std::int64_t max_new_tokens = 512, LocateModel locate = {},
                         kernels::Precision precision = kernels::Precision::kFloat32,
                         at::Device device = at::kCPU);
  std::int64_t max_new_tokens() const { return max_new_tokens_; }
  /// The encoder of a folder, loaded once. Throws DataError as Encoder::load does.
  std::shared_ptr<const Encoder> encoder(const std::string& model);
  /// Offers the models of a run.
  void share(ProvideModel run_models);
  /// The run's model of this name, else the decoder LM at this place, loaded once.
  /// @param option  what asks for it, for errors
  /// Throws UsageError for a name of a run's model where there is no run, DataError.
  std::shared_ptr<const LanguageModel> language_model(const std::string& model,
                                                      const std::string& option = "model");

 private:
  std::filesystem::path located(const std::string& model) const;

  std::int64_t max_new_tokens_;
  LocateModel locate_;
  kernels::Precision precision_;
  at::Device device_;
  ProvideModel run_models_;
  std::mutex mutex_;
  std::map<std::filesystem::path, std::shared_ptr<const Encoder>> encoders_;
  std::map<std::filesystem::path, std::shared_ptr<const LanguageModel>> language_models_;
};

}  // namespace plumb
