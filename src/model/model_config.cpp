#include "model/model_config.hpp"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "formats/json_text.hpp"
#include "model/rope_config.hpp"
#include "model/weight_names.hpp"

namespace plumb {
namespace {

using nlohmann::json;

/// What the classes of `transformers` fix for a family; the rest stands in config.json.
struct Family {
  const char* model_type;
  const char* architecture;
  bool always_qkv_bias;  // otherwise `attention_bias` speaks for q, k, v and o
  bool has_attention_bias_key;
  bool qk_norm;
  std::int64_t head_dim;  // where config.json has none; 0 = hidden_size / num_attention_heads
};
constexpr std::array<Family, 4> kFamilies{{
    {"llama", "LlamaForCausalLM", false, true, false, 0},
    {"mistral", "MistralForCausalLM", false, false, false, 0},
    {"qwen2", "Qwen2ForCausalLM", true, false, false, 0},
    {"qwen3", "Qwen3ForCausalLM", false, true, true, 128},
}};

const Family& family_of(const std::string& model_type, const std::string& where) {
  std::string known;
  for (const Family& family : kFamilies) {
    if (model_type == family.model_type) return family;
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  throw DataError(
      cat(where, ": model_type \"", model_type, "\" is not supported; supported are ", known));
}

void refuse_unless(bool holds, const std::string& where, const std::string& what) {
  if (!holds) throw DataError(cat(where, ": ", what, " is not supported"));
}

std::optional<std::int32_t> token_id(const json& value, const char* key, std::int64_t vocab_size,
                                     const std::string& where) {
  if (value.is_null()) return std::nullopt;
  if (!value.is_number_integer()) {
    throw DataError(
        cat(where, ": \"", key, "\" is a ", value.type_name(), ", expected a token id"));
  }
  const auto id = value.get<std::int64_t>();
  if (id < 0 || id >= vocab_size) return std::nullopt;  // old configs write -1 for "none"
  return static_cast<std::int32_t>(id);
}

std::int64_t sliding_layers(const json& config, const ModelConfig& model,
                            const std::string& where) {
  const auto types = config.find("layer_types");
  if (types == config.end() || types->is_null()) {
    if (!find_bool(config, "use_sliding_window", where).value_or(false)) return 0;
    const std::int64_t full = find_integer(config, "max_window_layers", where).value_or(28);
    return std::clamp<std::int64_t>(model.num_layers - full, 0, model.num_layers);
  }
  std::int64_t sliding = 0;
  for (const json& type : *types) {
    const bool slides = type == "sliding_attention";
    refuse_unless(slides || type == "full_attention", where, cat("layer type ", type.dump()));
    sliding += slides ? 1 : 0;
  }
  return sliding;
}

std::optional<std::int64_t> sliding_window(const json& config, const ModelConfig& model,
                                           const std::string& where) {
  constexpr std::int64_t kClassDefault = 4096;
  if (model.model_type == "llama") return std::nullopt;
  if (model.model_type != "mistral") {
    const std::int64_t sliding = sliding_layers(config, model, where);
    if (sliding == 0) return std::nullopt;
    refuse_unless(sliding == model.num_layers, where,
                  "a sliding window in some of the layers only");
  }
  if (!config.contains("sliding_window")) return kClassDefault;
  if (!find_integer(config, "sliding_window", where)) return std::nullopt;
  return need_integer(config, "sliding_window", 1, model_limits::kContext, where);
}

void refuse_other_layers(const json& config, const std::string& where) {
  const std::string activation = find_string(config, "hidden_act", where).value_or("silu");
  refuse_unless(activation == "silu" || activation == "swish", where,
                cat("hidden_act \"", activation, "\""));
  refuse_unless(!find_bool(config, "mlp_bias", where).value_or(false), where, "mlp_bias");
  refuse_unless(!config.contains("quantization_config"), where,
                "quantization_config (quantised weights other than GGUF)");
}

void read_sizes(const json& config, const Family& family, ModelConfig& model,
                const std::string& where) {
  model.vocab_size = need_integer(config, "vocab_size", 1, model_limits::kVocab, where);
  model.hidden_size = need_integer(config, "hidden_size", 1, model_limits::kWidth, where);
  model.intermediate_size =
      need_integer(config, "intermediate_size", 1, model_limits::kWidth, where);
  model.num_layers = need_integer(config, "num_hidden_layers", 1, model_limits::kLayers, where);
  model.num_heads = need_integer(config, "num_attention_heads", 1, model_limits::kHeads, where);
  model.max_position_embeddings =
      need_integer(config, "max_position_embeddings", 1, model_limits::kContext, where);
  model.num_kv_heads = find_integer(config, "num_key_value_heads", where)
                           ? need_integer(config, "num_key_value_heads", 1, model.num_heads, where)
                           : model.num_heads;
  if (find_integer(config, "head_dim", where)) {
    model.head_dim = need_integer(config, "head_dim", 1, model_limits::kHeadDim, where);
  } else if (family.head_dim > 0) {
    model.head_dim = family.head_dim;
  } else if (model.hidden_size % model.num_heads == 0) {
    model.head_dim = model.hidden_size / model.num_heads;
  }
}

}  // namespace

void check_model_config(const ModelConfig& model, const std::string& where) {
  const Family& family = family_of(model.model_type, where);
  const auto need = [&](bool holds, const std::string& what) {
    if (!holds) throw DataError(cat(where, ": ", what));
  };
  need(model.num_kv_heads > 0 && model.num_heads % model.num_kv_heads == 0,
       cat(model.num_heads, " attention heads cannot share ", model.num_kv_heads,
           " key-value heads"));
  need(model.head_dim > 0 && model.head_dim % 2 == 0,
       cat("head size ", model.head_dim,
           " (hidden_size / num_attention_heads, or head_dim), "
           "expected an even number"));
  need(model.rms_norm_eps > 0 && model.rms_norm_eps < 1,
       cat("rms_norm_eps = ", model.rms_norm_eps, ", expected a small positive number"));
  const bool biases_fit = family.always_qkv_bias          ? model.qkv_bias && !model.output_bias
                          : family.has_attention_bias_key ? model.qkv_bias == model.output_bias
                                                          : !model.qkv_bias && !model.output_bias;
  need(biases_fit, cat("attention biases do not fit the family ", model.model_type));
  need(model.qk_norm == family.qk_norm,
       cat("query and key norms do not fit the family ", model.model_type));
}

ModelConfig ModelConfig::from_json(const json& config, const std::string& where) {
  const auto model_type = find_string(config, "model_type", where);
  if (!model_type) throw DataError(cat(where, ": \"model_type\" is missing"));
  const Family& family = family_of(*model_type, where);
  ModelConfig model;
  model.model_type = *model_type;
  read_sizes(config, family, model, where);
  refuse_other_layers(config, where);
  model.rms_norm_eps = find_number(config, "rms_norm_eps", where).value_or(1e-6);
  model.tie_word_embeddings = find_bool(config, "tie_word_embeddings", where).value_or(false);
  const bool bias =
      family.has_attention_bias_key && find_bool(config, "attention_bias", where).value_or(false);
  model.qkv_bias = family.always_qkv_bias || bias;
  model.output_bias = bias;
  model.qk_norm = family.qk_norm;
  read_rope(config, model, where);
  model.sliding_window = plumb::sliding_window(config, model, where);
  model.bos =
      token_id(config.value("bos_token_id", json()), "bos_token_id", model.vocab_size, where);
  model.pad =
      token_id(config.value("pad_token_id", json()), "pad_token_id", model.vocab_size, where);
  model.eos = eos_token_ids(config, model.vocab_size, where);
  check_model_config(model, where);
  return model;
}

std::vector<std::int32_t> eos_token_ids(const json& config, std::int64_t vocab_size,
                                        const std::string& where) {
  const json eos = config.value("eos_token_id", json());
  std::vector<std::int32_t> ids;
  for (const json& value : eos.is_array() ? eos : json::array({eos})) {
    if (const auto id = token_id(value, "eos_token_id", vocab_size, where)) ids.push_back(*id);
  }
  return ids;
}

json ModelConfig::to_json(const std::string& torch_dtype) const {
  const Family& family = family_of(model_type, "model");
  json out = {{"model_type", model_type},
              {"architectures", {family.architecture}},
              {"vocab_size", vocab_size},
              {"hidden_size", hidden_size},
              {"intermediate_size", intermediate_size},
              {"num_hidden_layers", num_layers},
              {"num_attention_heads", num_heads},
              {"num_key_value_heads", num_kv_heads},
              {"head_dim", head_dim},
              {"hidden_act", "silu"},
              {"max_position_embeddings", max_position_embeddings},
              {"rms_norm_eps", rms_norm_eps},
              {"tie_word_embeddings", tie_word_embeddings},
              {"attention_dropout", 0.0},
              {"initializer_range", 0.02},
              {"use_cache", true},
              {"torch_dtype", torch_dtype},
              {"dtype", torch_dtype}};
  write_rope(*this, out);
  if (family.has_attention_bias_key) out["attention_bias"] = qkv_bias;
  if (model_type == "llama") out["mlp_bias"] = false;
  if (model_type != "llama")
    out["sliding_window"] = sliding_window ? json(*sliding_window) : json();
  if (model_type == "qwen2" || model_type == "qwen3") {
    out["use_sliding_window"] = sliding_window.has_value();
    out["max_window_layers"] = sliding_window ? 0 : num_layers;
  }
  out["bos_token_id"] = bos ? json(*bos) : json();
  out["pad_token_id"] = pad ? json(*pad) : json();
  out["eos_token_id"] = eos.empty() ? json() : eos.size() == 1 ? json(eos.front()) : json(eos);
  return out;
}

std::int64_t ModelConfig::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [name, shape] : expected_weights(*this)) {
    std::int64_t values = 1;
    for (const std::int64_t extent : shape) values *= extent;
    count += values;
  }
  return count;
}

}  // namespace plumb
