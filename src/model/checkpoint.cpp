#include "model/checkpoint.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/files.hpp"
#include "formats/json_text.hpp"
#include "model/gguf.hpp"
#include "model/safetensors.hpp"
#include "model/weight_names.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

constexpr std::size_t kMaxTemplateBytes = std::size_t{4} << 20;

/// `chat_template` of tokenizer_config.json: one text, or a list of {name, template} of which
/// "default" counts.
std::string template_of(const json& tokenizer_config) {
  const auto found = tokenizer_config.find("chat_template");
  if (found == tokenizer_config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return "";
  for (const json& entry : *found) {
    if (entry.is_object() && entry.value("name", json()) == "default" &&
        entry.value("template", json()).is_string()) {
      return entry["template"].get<std::string>();
    }
  }
  return "";
}

std::string chat_template_of(const fs::path& folder) {
  const fs::path own_file = folder / "chat_template.jinja";
  if (fs::exists(own_file)) return read_file(own_file, kMaxTemplateBytes);
  const fs::path tokenizer_config = folder / "tokenizer_config.json";
  return fs::exists(tokenizer_config) ? template_of(read_json_object(tokenizer_config)) : "";
}

/// End-of-sequence ids of generation_config.json come first; those of config.json are added.
void add_generation_eos(const fs::path& folder, ModelConfig& config) {
  const fs::path file = folder / "generation_config.json";
  if (!fs::exists(file)) return;
  auto eos = eos_token_ids(read_json_object(file), config.vocab_size, file.string());
  for (const std::int32_t id : config.eos) {
    if (std::find(eos.begin(), eos.end(), id) == eos.end()) eos.push_back(id);
  }
  config.eos = std::move(eos);
}

Checkpoint load_folder(const fs::path& folder) {
  const fs::path config_file = folder / "config.json";
  if (!fs::exists(config_file)) throw DataError(cat(folder.string(), ": config.json is missing"));
  Checkpoint checkpoint;
  checkpoint.source = folder;
  checkpoint.config = ModelConfig::from_json(read_json_object(config_file), config_file.string());
  add_generation_eos(folder, checkpoint.config);
  checkpoint.chat_template_jinja = chat_template_of(folder);
  checkpoint.tokenizer = load_tokenizer(folder);
  checkpoint.weights = read_safetensors_folder(folder);
  check_weights(checkpoint.config, checkpoint.weights, folder.string());
  return checkpoint;
}

Checkpoint load_gguf(const fs::path& file) {
  GgufModel model = read_gguf(file);
  Checkpoint checkpoint;
  checkpoint.source = file;
  checkpoint.config = std::move(model.config);
  checkpoint.weights = std::move(model.weights);
  checkpoint.chat_template_jinja = std::move(model.chat_template);
  checkpoint.tokenizer = make_tokenizer(model.vocabulary);
  return checkpoint;
}

}  // namespace

Checkpoint load_checkpoint(const std::string& model) {
  const fs::path source = resolve_model(model);
  Checkpoint checkpoint = fs::is_directory(source) ? load_folder(source) : load_gguf(source);
  if (checkpoint.tokenizer->vocab_size() > checkpoint.config.vocab_size) {
    throw DataError(cat(source.string(), ": the tokenizer has ", checkpoint.tokenizer->vocab_size(),
                        " ids, the model only ", checkpoint.config.vocab_size, " embedding rows"));
  }
  return checkpoint;
}

}  // namespace plumb
