#include "config/config.hpp"

namespace plumb {

const std::vector<std::pair<std::string, std::string>>& option_aliases() {
  static const std::vector<std::pair<std::string, std::string>> aliases{
      {"model_name_or_path", "model.path"},
      {"base_model", "model.path"},
      {"template", "model.chat_template"},
      {"output_dir", "run.dir"},
      {"num_generations", "rollout.samples_per_prompt"},
      {"rollout.num_generations", "rollout.samples_per_prompt"},
      {"n_samples_per_prompt", "rollout.samples_per_prompt"},
      {"max_completion_length", "rollout.max_new_tokens"},
      {"rollout.max_completion_length", "rollout.max_new_tokens"},
      {"pref_beta", "dpo.beta"},
      {"rl_beta", "dpo.beta"},
      {"pref_loss", "dpo.loss_type"},
      {"lr", "train.learning_rate"},
      {"adam.lr", "train.learning_rate"},
      {"lr_scheduler", "train.lr_scheduler_type"},
      {"num_epochs", "train.num_train_epochs"},
      {"max_epochs", "train.num_train_epochs"},
      {"train.max_epochs", "train.num_train_epochs"},
      {"warmup_ratio", "train.warmup_steps"},
      {"train.warmup_ratio", "train.warmup_steps"},
      {"per_device_train_batch_size", "train.batch_size"},
      {"train.per_device_train_batch_size", "train.batch_size"},
      {"cutoff_len", "train.max_length"},
      {"max_len", "train.max_length"},
  };
  return aliases;
}

}  // namespace plumb
