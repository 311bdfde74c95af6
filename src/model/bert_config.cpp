#include "model/bert_config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "formats/json_text.hpp"
#include "model/model_config.hpp"

namespace plumb {
namespace fs = std::filesystem;
namespace {

using nlohmann::json;

void refuse_unless(bool holds, const fs::path& where, const std::string& what) {
  if (!holds) throw DataError(cat(where.string(), ": ", what, " is not supported"));
}

void read_architecture(BertConfig& bert) {
  const fs::path file = bert.weights_folder / "config.json";
  const std::string where = file.string();
  if (!fs::exists(file))
    throw DataError(cat(bert.weights_folder.string(), ": config.json is missing"));
  const json config = read_json_object(file);
  const std::string type = find_string(config, "model_type", where).value_or("");
  refuse_unless(type == "bert", file, cat("model_type \"", type, "\" (only bert)"));
  const std::string positions =
      find_string(config, "position_embedding_type", where).value_or("absolute");
  refuse_unless(positions == "absolute", file, cat("position_embedding_type \"", positions, "\""));
  const std::string activation = find_string(config, "hidden_act", where).value_or("gelu");
  refuse_unless(activation == "gelu", file, cat("hidden_act \"", activation, "\""));
  refuse_unless(!find_bool(config, "is_decoder", where).value_or(false), file, "is_decoder");
  bert.vocab_size = need_integer(config, "vocab_size", 1, model_limits::kVocab, where);
  bert.hidden_size = need_integer(config, "hidden_size", 1, model_limits::kWidth, where);
  bert.num_layers = need_integer(config, "num_hidden_layers", 1, model_limits::kLayers, where);
  bert.num_heads = need_integer(config, "num_attention_heads", 1, model_limits::kHeads, where);
  bert.intermediate_size =
      need_integer(config, "intermediate_size", 1, model_limits::kWidth, where);
  bert.max_positions =
      need_integer(config, "max_position_embeddings", 3, model_limits::kWidth, where);
  bert.token_types = need_integer(config, "type_vocab_size", 1, model_limits::kWidth, where);
  bert.layer_norm_eps = find_number(config, "layer_norm_eps", where).value_or(1e-12);
  if (bert.hidden_size % bert.num_heads != 0) {
    throw DataError(cat(where, ": hidden_size ", bert.hidden_size, " is no multiple of ",
                        bert.num_heads, " attention heads"));
  }
}

/// Old files have a flag a mode, new ones a name.
void check_pooling(const fs::path& folder, std::int64_t hidden_size) {
  const fs::path file = folder / "config.json";
  const json config = read_json_object(file);
  const std::string mode = find_string(config, "pooling_mode", file.string()).value_or("");
  bool mean = mode == "mean";
  for (const auto& [key, value] : config.items()) {
    if (!key.starts_with("pooling_mode_") || value != true) continue;
    refuse_unless(key == "pooling_mode_mean_tokens", file, cat(key, " (only mean pooling)"));
    mean = true;
  }
  refuse_unless(mean && (mode.empty() || mode == "mean"), file,
                cat("pooling \"", mode, "\" (only mean)"));
  const auto dimension = find_integer(config, "word_embedding_dimension", file.string());
  refuse_unless(!dimension || *dimension == hidden_size, file,
                "a word_embedding_dimension other than hidden_size");
}

struct Module {
  std::string kind;  // last part of the class name
  fs::path folder;
};

std::vector<Module> read_modules(const fs::path& folder) {
  const fs::path file = folder / "modules.json";
  if (!fs::exists(file)) return {};
  const json list = read_json_value(file);
  std::vector<Module> modules;
  for (const json& entry : list.is_array() ? list : json::array()) {
    if (!entry.is_object()) break;
    const std::string type = find_string(entry, "type", file.string()).value_or("");
    const std::string path = find_string(entry, "path", file.string()).value_or("");
    const bool inside = path.find("..") == std::string::npos && !fs::path(path).is_absolute();
    if (!inside)
      throw DataError(cat(file.string(), ": module path \"", path, "\" leaves the folder"));
    modules.push_back({type.substr(type.rfind('.') + 1), path.empty() ? folder : folder / path});
  }
  if (modules.empty() || modules.front().kind != "Transformer") {
    throw DataError(
        cat(file.string(), ": expected a list of modules that starts with a Transformer"));
  }
  return modules;
}

/// How many tokens of a text count: the smallest of what the files say and the position table.
std::int64_t max_tokens(const BertConfig& bert) {
  std::int64_t limit = bert.max_positions;
  const auto lower = [&](const char* name, const char* key) {
    const fs::path file = bert.weights_folder / name;
    if (!fs::exists(file)) return;
    const auto value = find_number(read_json_object(file), key, file.string());
    // Tokenizers without a limit write 1e30.
    if (value && *value < static_cast<double>(limit)) limit = static_cast<std::int64_t>(*value);
  };
  lower("sentence_bert_config.json", "max_seq_length");
  lower("tokenizer_config.json", "model_max_length");
  constexpr std::int64_t kLeast = 3;  // [CLS], one token, [SEP]
  if (limit < kLeast) {
    throw DataError(cat(bert.weights_folder.string(), ": texts are limited to ", limit,
                        " tokens, expected at least ", kLeast));
  }
  return limit;
}

}  // namespace

BertConfig read_bert_config(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw DataError(cat(folder.string(), ": is not a folder"));
  const std::vector<Module> modules = read_modules(folder);
  BertConfig bert;
  bert.weights_folder = modules.empty() ? folder : modules.front().folder;
  read_architecture(bert);
  for (std::size_t i = 1; i < modules.size(); ++i) {
    if (modules[i].kind == "Pooling") {
      check_pooling(modules[i].folder, bert.hidden_size);
    } else if (modules[i].kind == "Normalize") {
      bert.normalizes = true;
    } else {
      refuse_unless(false, folder / "modules.json", cat("module ", modules[i].kind));
    }
  }
  bert.max_tokens = max_tokens(bert);
  return bert;
}

}  // namespace plumb
