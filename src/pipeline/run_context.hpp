#pragma once
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "model/checkpoint.hpp"
#include "pipeline/run_models.hpp"
#include "pipeline/run_options.hpp"
#include "pipeline/run_rewards.hpp"
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
  /// The model at model.path.
  std::int64_t base_checkpoint() const { return base_checkpoint_; }
  /// The policy that iteration 1 begins with: the base model, or what the supervised stage made of
  /// it (the base model until then).
  std::int64_t initial_checkpoint() const { return initial_checkpoint_; }
  /// Declares that the supervised stage made this policy.
  void begin_at(std::int64_t checkpoint_id) { initial_checkpoint_ = checkpoint_id; }

  /// The policy of a checkpoint with gradients. One is kept; asking for another one frees it.
  /// Modules that hold models of the run let them go.
  Decoder& trainable(std::int64_t checkpoint_id);
  /// A model of a checkpoint for forward passes only; the trainable one if it holds these weights.
  const Decoder& frozen(std::int64_t checkpoint_id) { return *models_.frozen(checkpoint_id); }
  /// The same, but never the trainable one: its weights stay while the policy is trained.
  const Decoder& separate(std::int64_t checkpoint_id) { return *models_.separate(checkpoint_id); }
  RunModels& models() { return models_; }
  /// A checkpoint as rewards ask it, with the run's tokenizer and chat format.
  std::shared_ptr<const LanguageModel> language_model(std::int64_t checkpoint_id);
  /// The base model if its files are at this path, with its own chat format; else null.
  std::shared_ptr<const LanguageModel> base_model_at(const std::string& path);
  kernels::Precision precision() const { return precision_; }
  /// The models of guide.models, loaded once; null if there are none. Throws DataError if one has
  /// other weights than when the run first used it.
  const Guides* guides();
  /// Declares that the trainable policy now holds the weights of another checkpoint (after training
  /// and saving).
  void trainable_is_now(std::int64_t checkpoint_id) { models_.trainable_is_now(checkpoint_id); }
  /// Forgets the trainable policy, so that the next use loads it from its files.
  void drop_trainable() { models_.drop_trainable(); }
  /// Writes the trainable policy as a Hugging Face folder. @return its row (path, hash, size), not
  /// yet stored
  store::CheckpointRow save_policy(const std::filesystem::path& target);

  /// The checkpoint an iteration's loss is anchored to, by run.reference.
  std::int64_t reference_checkpoint(std::int64_t policy_checkpoint);

  /// A reward module as the iteration needs it, and its id in the store.
  using Module = RunRewards::Module;
  const Module& reward(const std::string& name, const store::Iteration& iteration);

 private:
  void open_run(const std::string& phase);
  void load_base();
  std::int64_t checkpoint_of_model(const std::string& model, const std::string& role);

  kernels::Precision precision_;
  RunModels models_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_;
  std::string chat_template_jinja_;
  std::vector<std::int32_t> end_ids_;
  ModelConfig model_config_;
  std::int64_t base_checkpoint_ = 0, initial_checkpoint_ = 0;
  std::unique_ptr<RunRewards> rewards_;
  std::unique_ptr<Guides> guides_;
};

/// Effective options of a section as a JSON object.
nlohmann::json section_json(const OptionValues& values, const std::string& section);

}  // namespace plumb
