#include "rewards/context.hpp"

#include <algorithm>
#include <utility>

#include "core/error.hpp"

namespace plumb {

const std::vector<std::string>& run_model_names() {
  static const std::vector<std::string> names{"policy", "previous", "initial", "base", "reference"};
  return names;
}

RewardContext::RewardContext(std::int64_t max_new_tokens, LocateModel locate,
                             kernels::Precision precision, at::Device device)
    : max_new_tokens_(max_new_tokens),
      locate_(std::move(locate)),
      precision_(precision),
      device_(device) {
  expects(max_new_tokens > 0, "a positive response length");
}

std::filesystem::path RewardContext::located(const std::string& model) const {
  std::error_code
      unreadable;  // a missing folder keeps its name; loading it then says what is wrong
  const std::filesystem::path path = locate_ ? locate_(model) : std::filesystem::path(model);
  const std::filesystem::path canonical = std::filesystem::weakly_canonical(path, unreadable);
  return unreadable ? path : canonical;
}

std::shared_ptr<const Encoder> RewardContext::encoder(const std::string& model) {
  const std::filesystem::path path = located(model);
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const Encoder>& loaded = encoders_[path];
  if (!loaded) loaded = Encoder::load(path);
  return loaded;
}

void RewardContext::share(ProvideModel run_models) { run_models_ = std::move(run_models); }

std::shared_ptr<const LanguageModel> RewardContext::language_model(const std::string& model,
                                                                   const std::string& option) {
  const auto& names = run_model_names();
  if (std::find(names.begin(), names.end(), model) != names.end()) {
    const auto shared = run_models_ ? run_models_(model) : nullptr;
    if (shared) return shared;
    throw UsageError(cat(option, " = ", model,
                         ": names a model of a run, and there is no run here; give a folder, a "
                         ".gguf file or a hub id (a folder of that name: ./",
                         model, ")"));
  }
  const std::filesystem::path path = located(model);
  if (run_models_) {
    if (const auto shared = run_models_(path.string())) return shared;
  }
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const LanguageModel>& loaded = language_models_[path];
  if (!loaded) loaded = load_language_model(path, precision_, device_);
  return loaded;
}

}  // namespace plumb
