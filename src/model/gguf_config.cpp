#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "core/error.hpp"
#include "model/gguf.hpp"
#include "model/rope_config.hpp"

namespace plumb {
namespace {

/// Architectures whose rows of q and k are stored interleaved are named here, too: see gguf.cpp.
const char* model_type_of(const std::string& architecture, const std::string& where) {
  constexpr std::array<std::pair<const char*, const char*>, 3> kArchitectures{
      {{"llama", "llama"}, {"qwen2", "qwen2"}, {"qwen3", "qwen3"}}};
  for (const auto& [name, model_type] : kArchitectures) {
    if (architecture == name) return model_type;
  }
  throw DataError(cat(where, ": GGUF architecture \"", architecture,
                      "\" is not supported; supported are llama (also Mistral), qwen2, qwen3"));
}

const GgufTensor* find_tensor(const GgufHeader& header, std::string_view name) {
  const auto found = std::find_if(header.tensors.begin(), header.tensors.end(),
                                  [&](const GgufTensor& tensor) { return tensor.name == name; });
  return found == header.tensors.end() ? nullptr : &*found;
}

/// The file keeps these numbers as float32: 1e-5 would read as 9.99999974e-06. Returns the shortest
/// decimal that is the float.
double as_written(double value) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size() - 1, static_cast<float>(value));
  return end.ec == std::errc() ? std::strtod(text.data(), nullptr) : value;
}

/// `{architecture}.{key}` of the metadata.
class ArchitectureKeys {
 public:
  ArchitectureKeys(const GgufMetadata& metadata, const std::string& architecture)
      : metadata_(metadata), prefix_(architecture + ".") {}
  std::int64_t need(const char* key, std::int64_t high) const {
    return metadata_.need_integer(prefix_ + key, 1, high);
  }
  std::int64_t value(const char* key, std::int64_t high, std::int64_t otherwise) const {
    return metadata_.has(prefix_ + key) ? need(key, high) : otherwise;
  }
  double number(const char* key, double otherwise) const {
    return as_written(metadata_.number(prefix_ + key).value_or(otherwise));
  }
  std::string text(const char* key, const char* otherwise) const {
    return metadata_.text(prefix_ + key).value_or(otherwise);
  }
  void refuse_unless(bool holds, const char* key, const char* expected) const {
    if (!holds) {
      throw DataError(
          cat(metadata_.where(), ": ", prefix_, key, " is not supported; expected ", expected));
    }
  }

 private:
  const GgufMetadata& metadata_;
  std::string prefix_;
};

void read_sizes(const GgufHeader& header, const ArchitectureKeys& keys, ModelConfig& model) {
  const GgufTensor* embedding = find_tensor(header, "token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2) {
    throw DataError(cat(header.metadata.where(), ": has no matrix token_embd.weight"));
  }
  model.vocab_size = embedding->shape[0];
  model.hidden_size = keys.need("embedding_length", model_limits::kWidth);
  model.intermediate_size = keys.need("feed_forward_length", model_limits::kWidth);
  model.num_layers = keys.need("block_count", model_limits::kLayers);
  model.num_heads = keys.need("attention.head_count", model_limits::kHeads);
  model.num_kv_heads = keys.value("attention.head_count_kv", model_limits::kHeads, model.num_heads);
  model.max_position_embeddings = keys.need("context_length", model_limits::kContext);
  model.head_dim = keys.value(
      "attention.key_length", model_limits::kHeadDim,
      model.hidden_size % model.num_heads == 0 ? model.hidden_size / model.num_heads : 0);
  keys.refuse_unless(keys.value("attention.value_length", model_limits::kHeadDim, model.head_dim) ==
                         model.head_dim,
                     "attention.value_length", "the same as attention.key_length");
  keys.refuse_unless(
      keys.value("rope.dimension_count", model_limits::kHeadDim, model.head_dim) == model.head_dim,
      "rope.dimension_count", "the whole head");
  keys.refuse_unless(keys.number("expert_count", 0) == 0, "expert_count",
                     "a model without experts");
}

void read_scaling(const ArchitectureKeys& keys, ModelConfig& model) {
  RopeScaling& scaling = model.rope_scaling;
  const std::string type = keys.text("rope.scaling.type", "none");
  keys.refuse_unless(type == "none" || type == "linear" || type == "yarn", "rope.scaling.type",
                     "none, linear or yarn");
  const double old_spelling = keys.number("rope.scale_linear", 1);
  if (type == "none" && old_spelling == 1) return;
  scaling.type = type == "none" ? "linear" : type;
  scaling.factor = keys.number("rope.scaling.factor", old_spelling);
  keys.refuse_unless(scaling.factor > 0, "rope.scaling.factor", "a positive number");
  if (scaling.type != "yarn") return;
  scaling.original_max_position =
      keys.value("rope.scaling.original_context_length", model_limits::kContext, 0);
  keys.refuse_unless(keys.number("rope.scaling.attn_factor", 1) == 1, "rope.scaling.attn_factor",
                     "1");
}

std::optional<std::int32_t> token_id(const GgufMetadata& metadata, const char* key,
                                     std::int64_t vocab_size) {
  const auto id = metadata.integer(cat("tokenizer.ggml.", key));
  if (!id || *id < 0 || *id >= vocab_size) return std::nullopt;
  return static_cast<std::int32_t>(*id);
}

}  // namespace

ModelConfig gguf_model_config(const GgufHeader& header, const std::vector<double>& rope_divisors) {
  const GgufMetadata& metadata = header.metadata;
  const auto architecture = metadata.text("general.architecture");
  if (!architecture) throw DataError(cat(metadata.where(), ": general.architecture is missing"));
  const ArchitectureKeys keys(metadata, *architecture);
  ModelConfig model;
  model.model_type = model_type_of(*architecture, metadata.where());
  read_sizes(header, keys, model);
  model.rms_norm_eps = keys.number("attention.layer_norm_rms_epsilon", 1e-6);
  model.rope_theta = keys.number("rope.freq_base", 10000);
  keys.refuse_unless(model.rope_theta > 0, "rope.freq_base", "a positive number");
  read_scaling(keys, model);
  model.tie_word_embeddings = find_tensor(header, "output.weight") == nullptr;
  model.qkv_bias = find_tensor(header, "blk.0.attn_q.bias") != nullptr;
  model.output_bias = find_tensor(header, "blk.0.attn_output.bias") != nullptr;
  model.qk_norm = find_tensor(header, "blk.0.attn_q_norm.weight") != nullptr;
  if (metadata.has(*architecture + ".attention.sliding_window")) {
    model.sliding_window = keys.need("attention.sliding_window", model_limits::kContext);
    if (model.model_type == "llama") model.model_type = "mistral";
  }
  if (!rope_divisors.empty()) {
    keys.refuse_unless(static_cast<std::int64_t>(rope_divisors.size()) == model.head_dim / 2,
                       "rope_freqs.weight", "half a head of values");
    model.rope_scaling.frequency_divisors = rope_divisors;
    recognise_llama3(model);
  }
  model.bos = token_id(metadata, "bos_token_id", model.vocab_size);
  model.pad = token_id(metadata, "padding_token_id", model.vocab_size);
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    const auto id = token_id(metadata, key, model.vocab_size);
    if (id && std::count(model.eos.begin(), model.eos.end(), *id) == 0) model.eos.push_back(*id);
  }
  check_model_config(model, metadata.where());
  return model;
}

GgufVocabulary gguf_vocabulary(const GgufMetadata& metadata) {
  const auto key = [](const char* name) { return cat("tokenizer.ggml.", name); };
  const auto* tokens = metadata.texts(key("tokens"));
  if (tokens == nullptr) {
    throw DataError(cat(metadata.where(), ": holds no vocabulary (tokenizer.ggml.tokens)"));
  }
  const auto size = static_cast<std::int64_t>(tokens->size());
  GgufVocabulary vocabulary;
  vocabulary.model = metadata.text(key("model")).value_or("");
  vocabulary.pre = metadata.text(key("pre")).value_or("");
  vocabulary.tokens = *tokens;
  if (const auto* scores = metadata.numbers(key("scores"))) {
    for (const double score : *scores) vocabulary.scores.push_back(static_cast<float>(score));
  }
  if (const auto* types = metadata.integers(key("token_type"))) {
    for (const std::int64_t type : *types) {
      vocabulary.token_types.push_back(
          static_cast<std::int32_t>(std::clamp<std::int64_t>(type, 0, 7)));
    }
  }
  if (const auto* merges = metadata.texts(key("merges"))) vocabulary.merges = *merges;
  for (const std::size_t count : {vocabulary.scores.size(), vocabulary.token_types.size()}) {
    if (count != 0 && count != tokens->size()) {
      throw DataError(cat(metadata.where(), ": has ", tokens->size(), " tokens, but ", count,
                          " scores or token types"));
    }
  }
  vocabulary.bos = token_id(metadata, "bos_token_id", size);
  vocabulary.eos = token_id(metadata, "eos_token_id", size);
  vocabulary.unknown = token_id(metadata, "unknown_token_id", size);
  vocabulary.pad = token_id(metadata, "padding_token_id", size);
  vocabulary.add_bos = metadata.boolean(key("add_bos_token")).value_or(vocabulary.model == "llama");
  vocabulary.add_space_prefix = metadata.boolean(key("add_space_prefix")).value_or(true);
  return vocabulary;
}

}  // namespace plumb
