#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/checkpoint.hpp"
#include "pipeline/run_options.hpp"
#include "rewards/registry.hpp"
#include "store/database.hpp"
#include "store/prompts.hpp"
#include "store/runs.hpp"
#include "text/chat_template.hpp"

namespace plumb {

/// What the phases of a run share: the store, the options, and models loaded once.
class RunContext {
 public:
  /// Opens or creates the run: database, base model. Throws UsageError if the stored run was made
  /// with other options.
  /// @param phase  a single phase that is asked for: its own options may then differ (another pair
  /// set, another module)
  explicit RunContext(RunConfig config, const std::string& phase = "");
  ~RunContext();

  const RunConfig config;
  const std::filesystem::path folder;
  store::Database db;
  store::Run run;

  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const ChatTemplate& chat() const { return *chat_; }
  /// Tokens that end a response: the model's EOS ids and the chat format's end of turn.
  const std::vector<std::int32_t>& end_ids() const { return end_ids_; }
  const ModelConfig& model_config() const { return model_config_; }
  std::int64_t initial_checkpoint() const { return initial_checkpoint_; }

  /// The policy of a checkpoint with gradients. One is kept; asking for another one frees it.
  Decoder& trainable(std::int64_t checkpoint_id);
  /// A model of a checkpoint for forward passes only; the trainable one if it holds these weights.
  const Decoder& frozen(std::int64_t checkpoint_id);
  /// The same, but never the trainable one: its weights stay while the policy is trained.
  const Decoder& separate(std::int64_t checkpoint_id);
  kernels::Precision precision() const { return precision_; }
  /// Declares that the trainable policy now holds the weights of another checkpoint (after training
  /// and saving).
  void trainable_is_now(std::int64_t checkpoint_id) { trainable_id_ = checkpoint_id; }
  /// Forgets the trainable policy, so that the next use loads it from its files.
  void drop_trainable();
  /// Writes the trainable policy as a Hugging Face folder. @return its row (path, hash, size), not
  /// yet stored
  store::CheckpointRow save_policy(const std::filesystem::path& target);

  /// The checkpoint an iteration's loss is anchored to, by run.reference.
  std::int64_t reference_checkpoint(std::int64_t policy_checkpoint);

  /// A reward module, made once, and its id in the store.
  struct Module {
    std::unique_ptr<RewardModule> module;
    std::int64_t id = 0;
  };
  const Module& reward(const std::string& name);

 private:
  void open_run(const std::string& phase);
  void load_base();
  std::int64_t checkpoint_of_model(const std::string& model, const std::string& role);
  std::unique_ptr<Decoder> load_decoder(std::int64_t checkpoint_id, bool trainable);

  kernels::Precision precision_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_;
  std::string chat_template_jinja_;
  std::vector<std::int32_t> end_ids_;
  ModelConfig model_config_;
  std::int64_t initial_checkpoint_ = 0;
  std::unique_ptr<Decoder> trainable_, frozen_;
  std::int64_t trainable_id_ = 0, frozen_id_ = 0;
  std::unique_ptr<RewardContext> reward_context_;
  std::vector<std::pair<std::string, Module>> rewards_;
};

/// SHA-256 that identifies a model's weights: of the .gguf file, of model.safetensors, or of all
/// shards in order.
std::string hash_of_model(const std::filesystem::path& resolved);

}  // namespace plumb
