#include "rewards/context.hpp"

#include <utility>

#include "core/error.hpp"

namespace plumb {

RewardContext::RewardContext(std::int64_t max_new_tokens, LocateModel locate,
                             kernels::Precision precision)
    : max_new_tokens_(max_new_tokens), locate_(std::move(locate)), precision_(precision) {
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

void RewardContext::share(const std::string& name, std::shared_ptr<const LanguageModel> model) {
  const std::lock_guard lock(mutex_);
  shared_[name] = std::move(model);
}

std::shared_ptr<const LanguageModel> RewardContext::language_model(const std::string& model) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = shared_.find(model); found != shared_.end()) return found->second;
  }
  const std::filesystem::path path = located(model);
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const LanguageModel>& loaded = language_models_[path];
  if (!loaded) loaded = load_language_model(path, precision_);
  return loaded;
}

}  // namespace plumb
