#include "cli/serve_models.hpp"

#include "cli/serve_policy.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"
#include "model/checkpoint.hpp"
#include "pipeline/model_setup.hpp"
#include "pipeline/version.hpp"
#include "rewards/registry.hpp"

namespace plumb::cli {
namespace {

/// Name, version, options and models of a module in one hash.
std::string fingerprint_of(const RewardEntry& entry, const RewardModule& module,
                           const OptionValues& values) {
  Sha256 hash;
  hash.update(cat(entry.info.name, "\n", kVersion, "\n", module.content_hash(), "\n"));
  for (const Option& option : entry.options) {
    const OptionValue* given = values.find(option.key);
    hash.update(cat(option.key, "=", given != nullptr ? given->text : option.default_value, "\n"));
  }
  return to_hex(hash.finish());
}

}  // namespace

std::vector<Option> serve_option_table() {
  std::vector<Option> all = declared<service::ServeOptions>("serve");
  for (Option& option : declared<GuideOptions>("guide")) all.push_back(std::move(option));
  for (Option& option : reward_options()) all.push_back(std::move(option));
  return all;
}

std::shared_ptr<const service::ServedModels> load_served_models(
    const service::ServeOptions& options, const OptionValues& values) {
  const auto guides = values.read<GuideOptions>("guide");
  if (options.policy.empty() && !guides.models.empty())
    throw UsageError("guide.models is set, but there is no policy to steer: set serve.policy");
  auto models = std::make_shared<service::ServedModels>();
  RewardContext context(512, resolve_model, choose_precision(options.dtype),
                        choose_device(options.device));
  for (const std::string& name : options.modules) {
    if (models->find(name) != nullptr)
      throw UsageError(cat("serve.modules: ", name, " stands there twice"));
    const RewardEntry& entry = find_reward(name);
    std::shared_ptr<const RewardModule> module = make_reward(name, values, context);
    const std::string fingerprint = fingerprint_of(entry, *module, values);
    models->modules.push_back({name, std::move(module), fingerprint});
  }
  if (!options.policy.empty()) {
    models->serve_policy(load_text_model(options.policy, options.chat_template, guides, context));
    // Shares the policy's life, so that a reload frees both.
    models->tokenizer = {models->policy, &models->policy->tokenizer()};
  }
  if (!options.tokenizer.empty()) models->tokenizer = load_checkpoint(options.tokenizer).tokenizer;
  return models;
}

}  // namespace plumb::cli
