#include "pipeline/run_context.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"
#include "pipeline/model_setup.hpp"
#include "pipeline/version.hpp"
#include "rewards/registry.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

/// Options that may differ from those a run was begun with: they change neither rows nor weights
/// that are already there.
bool may_change(const std::string& key, const std::string& phase) {
  static const std::vector<std::string> always{"run.iterations", "run.threads",
                                               "run.dir",        "train.save_steps",
                                               "eval.when",      "filter.min_kept"};
  if (std::find(always.begin(), always.end(), key) != always.end()) return true;
  const std::string section = key.substr(0, key.find('.'));
  if (phase == "score" || phase == "calibrate") {
    const auto& modules = reward_modules();
    return section == "score" ||
           std::any_of(modules.begin(), modules.end(),
                       [&](const RewardEntry& entry) { return entry.info.name == section; });
  }
  if (phase == "pair") return section == "pair" || section == "consistency" || section == "filter";
  if (phase == "import")
    return key == "pair.set" || key == "data.bad_rows" || key == "data.truncation";
  return (phase == "annotate" || phase == "train") && key == "pair.set";
}

nlohmann::json to_json(const OptionValues& values) {
  nlohmann::json out = nlohmann::json::object();
  for (const Option& option : run_option_table()) {
    const std::size_t dot = option.key.find('.');
    const OptionValue* value = values.find(option.key);
    out[option.key.substr(0, dot)][option.key.substr(dot + 1)] =
        value != nullptr ? value->text : option.default_value;
  }
  return out;
}

/// Whether prompts and imported pairs of a run begun with `stored` are those that `wanted` gives.
bool same_inputs(const nlohmann::json& stored, const nlohmann::json& wanted) {
  if (wanted["data"]["pairs"] == "") return false;
  for (const char* section : {"model", "data"}) {
    if (stored.value(section, nlohmann::json::object()) != wanted[section]) return false;
  }
  for (const char* name : {"seed", "iterations"}) {
    if (stored["run"].value(name, "") != wanted["run"][name]) return false;
  }
  return true;
}

fs::path folder_of(const RunConfig& config) {
  return config.run.dir.empty() ? fs::path("runs") / config.run.name : fs::path(config.run.dir);
}

fs::path made_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw DataError(cat(folder.string(), ": the run's folder cannot be made: ", error.message()));
  return folder;
}

}  // namespace

nlohmann::json section_json(const OptionValues& values, const std::string& section) {
  return to_json(values).value(section, nlohmann::json::object());
}

RunContext::RunContext(RunConfig config_, const std::string& phase)
    : config(std::move(config_)),
      folder(made_folder(folder_of(config))),
      db(store::Database::open_writer(folder / "run.db")),
      precision_(choose_precision(config.run.dtype)),
      models_(db, folder, precision_, choose_device(config.run.device)) {
  if (config.run.threads > 0) at::set_num_threads(static_cast<int>(config.run.threads));
  open_run(phase);
  load_base();
  rewards_ = std::make_unique<RunRewards>(*this);
}
RunContext::~RunContext() = default;

void RunContext::open_run(const std::string& phase) {
  const nlohmann::json wanted = to_json(config.values);
  std::optional<store::Run> found = store::find_run(db, config.run.name);
  if (found && !store::has_work(db, found->id)) {
    // Nothing but imported pairs is there: other options change nothing that was made with them.
    if (same_inputs(nlohmann::json::parse(found->config), wanted)) {
      store::set_run_config(db, found->id, wanted.dump());
    } else {
      store::remove_run(db, found->id);
    }
    found = store::find_run(db, config.run.name);
  }
  if (!found) {
    const std::int64_t id =
        store::create_run(db, config.run.name, config.run.seed, kVersion, wanted.dump());
    store::add_event(db, id, std::nullopt, "info", "start", cat("run ", config.run.name, " begun"));
    found = store::find_run(db, config.run.name);
    expects(found.has_value() && found->id == id, "the run just made");
  } else {
    const nlohmann::json stored = nlohmann::json::parse(found->config);
    std::vector<std::string> differences;
    for (const auto& [section, values] : wanted.items()) {
      for (const auto& [name, value] : values.items()) {
        const std::string key = section + "." + name;
        const std::string before =
            stored.value(section, nlohmann::json::object()).value(name, value.get<std::string>());
        if (before != value.get<std::string>() && !may_change(key, phase))
          differences.push_back(
              cat("  ", key, " = ", value.get<std::string>(), " (the run has ", before, ")"));
      }
    }
    if (!differences.empty()) {
      throw UsageError(cat("run ", config.run.name, " in ", folder.string(),
                           " was begun with other options:\n", join(differences, "\n"),
                           "\nGive the run another name (--run.name) or folder (--run.dir), or "
                           "take these options back"));
    }
    if (phase.empty()) store::set_run_config(db, found->id, wanted.dump());
  }
  run = *found;
}

void RunContext::load_base() {
  const fs::path resolved = resolve_model(config.model.path);
  base_checkpoint_ = initial_checkpoint_ = checkpoint_of_model(config.model.path, "base");
  const std::optional<store::Iteration> zero = store::find_iteration(db, run.id, 0);
  if (zero && zero->result_checkpoint_id) begin_at(*zero->result_checkpoint_id);
  Checkpoint base = load_checkpoint(resolved.string());
  tokenizer_ = base.tokenizer;
  model_config_ = base.config;
  chat_template_jinja_ = base.chat_template_jinja;
  chat_ = choose_chat_template(config.model.chat_template, base.chat_template_jinja);
  end_ids_ = find_end_ids(base.config, *tokenizer_, *chat_);
  if (end_ids_.empty())
    log::warn(
        "the model names no end-of-sequence token: every response will run to "
        "rollout.max_new_tokens");
}

std::int64_t RunContext::checkpoint_of_model(const std::string& model, const std::string& role) {
  const fs::path resolved = resolve_model(model);
  const std::string hash = hash_of_weights(resolved);
  if (const auto known = store::find_checkpoint(db, run.id, role, hash)) return known->id;
  if (role == "base") {
    auto other = db.prepare("SELECT sha256 FROM checkpoints WHERE run_id=? AND role='base'");
    if (other.bind(run.id).step()) {
      throw DataError(cat("model.path = ", model, ": its weights (SHA-256 ", hash.substr(0, 12),
                          "...) are not those the run was begun with (",
                          other.text(0).substr(0, 12), "...)"));
    }
  }
  store::CheckpointRow row;
  row.run_id = run.id;
  row.role = role;
  row.path = resolved.string();
  row.sha256 = hash;
  return store::add_checkpoint(db, row);
}

std::int64_t RunContext::reference_checkpoint(std::int64_t policy_checkpoint) {
  if (config.run.reference == "start_of_iteration") return policy_checkpoint;
  if (config.run.reference == "initial") return initial_checkpoint_;
  return checkpoint_of_model(config.run.reference, "reference");
}

Decoder& RunContext::trainable(std::int64_t checkpoint_id) {
  rewards_->release_models();
  return models_.trainable(checkpoint_id);
}

std::shared_ptr<const LanguageModel> RunContext::language_model(std::int64_t checkpoint_id) {
  const std::optional<store::CheckpointRow> row = store::find_checkpoint(db, checkpoint_id);
  expects(row.has_value(), "a stored checkpoint");
  LanguageModel model;
  model.decoder = models_.frozen(checkpoint_id);
  model.tokenizer = tokenizer_;
  model.chat_template_jinja = chat_template_jinja_;
  model.chat = chat_;
  model.content_hash = row->sha256;
  return std::make_shared<LanguageModel>(std::move(model));
}

std::shared_ptr<const LanguageModel> RunContext::base_model_at(const std::string& path) {
  if (path != fs::weakly_canonical(resolve_model(config.model.path)).string()) return nullptr;
  LanguageModel model = *language_model(base_checkpoint_);
  model.chat.reset();
  return std::make_shared<LanguageModel>(std::move(model));
}

store::CheckpointRow RunContext::save_policy(const fs::path& target) {
  expects(models_.trained() != nullptr, "a policy that was trained");
  const at::ScalarType dtype = config.train.save_dtype == "float32" ? at::kFloat : at::kBFloat16;
  Checkpoint checkpoint;
  checkpoint.source = target;
  checkpoint.config = model_config_;
  checkpoint.weights = models_.trained()->weights();
  checkpoint.tokenizer = tokenizer_;
  checkpoint.chat_template_jinja = chat_template_jinja_;
  std::error_code error;
  fs::create_directories(target.parent_path(), error);
  store::CheckpointRow row;
  row.run_id = run.id;
  row.role = "policy";
  row.sha256 = save_checkpoint(checkpoint, target, dtype);
  row.path = fs::relative(target, folder).string();
  row.bytes = static_cast<std::int64_t>(fs::file_size(target / "model.safetensors"));
  return row;
}

const Guides* RunContext::guides() {
  if (guides_ || config.guide.models.empty()) return guides_.get();
  auto guides = std::make_unique<Guides>(
      config.guide, "guide.models", tokenizer(), [this](const fs::path& path) {
        return load_language_model(path, precision_, choose_device(config.run.device));
      });
  store::Transaction transaction(db);
  for (const Guides::One& guide : guides->all()) {
    auto before = db.prepare(
        "SELECT sha256 FROM checkpoints WHERE run_id=? AND role='reward' AND path=? AND sha256<>?");
    if (before.bind(run.id, guide.path, guide.model->content_hash).step()) {
      throw DataError(cat("guide.models: ", guide.path, " has other weights (SHA-256 ",
                          guide.model->content_hash.substr(0, 12),
                          "...) than when this run sampled with it (", before.text(0).substr(0, 12),
                          "...); restore the folder, or start a new run"));
    }
    checkpoint_of_model(guide.name.model, "reward");
  }
  transaction.commit();
  guides_ = std::move(guides);
  return guides_.get();
}

const RunContext::Module& RunContext::reward(const std::string& name,
                                             const store::Iteration& iteration) {
  return rewards_->module(name, iteration);
}

}  // namespace plumb
