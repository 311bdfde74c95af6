#include <c10/core/ScalarType.h>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/files.hpp"
#include "model/checkpoint.hpp"
#include "model/safetensors.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

std::string dtype_name(at::ScalarType dtype) {
  switch (dtype) {
    case at::kFloat:
      return "float32";
    case at::kBFloat16:
      return "bfloat16";
    case at::kHalf:
      return "float16";
    default:
      throw InternalError(cat("checkpoints are not saved as ", c10::toString(dtype)));
  }
}

json generation_config(const ModelConfig& config) {
  json out = {{"_from_model_config", true}};
  if (config.bos) out["bos_token_id"] = *config.bos;
  if (config.pad) out["pad_token_id"] = *config.pad;
  if (!config.eos.empty()) out["eos_token_id"] = config.eos;
  return out;
}

void write_json(const fs::path& file, const json& value) {
  write_file_atomically(file, value.dump(2) + "\n");
}

/// A fresh folder beside the target, where nobody looks for a model.
fs::path make_part_folder(const fs::path& folder) {
  const fs::path parent = folder.has_parent_path() ? folder.parent_path() : fs::path(".");
  const fs::path part = parent / cat(".", folder.filename().string(), ".part");
  std::error_code failed;
  fs::remove_all(part, failed);
  fs::create_directories(part, failed);
  if (failed) throw DataError(cat(part.string(), ": cannot be created: ", failed.message()));
  return part;
}

}  // namespace

std::string save_checkpoint(const Checkpoint& checkpoint, const fs::path& folder,
                            at::ScalarType dtype) {
  const fs::path target =
      folder.has_filename() ? folder : folder.parent_path();  // "policy/" = "policy"
  const json config = checkpoint.config.to_json(dtype_name(dtype));
  expects(checkpoint.tokenizer != nullptr, "a checkpoint with a tokenizer");
  TensorMap weights = checkpoint.weights;
  if (checkpoint.config.tie_word_embeddings) weights.erase("lm_head.weight");
  const fs::path part = make_part_folder(target);
  try {
    write_json(part / "config.json", config);
    write_json(part / "generation_config.json", generation_config(checkpoint.config));
    checkpoint.tokenizer->save(part, checkpoint.chat_template_jinja);
    const std::string hash = write_safetensors(part / "model.safetensors", weights, dtype);
    sync_folder(part);
    replace_folder(part, target);
    return hash;
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(part, ignored);
    throw;
  }
}

}  // namespace plumb
