#include "model/weight_names.hpp"

#include <ATen/ops/equal.h>
#include <c10/core/ScalarType.h>

#include <span>

#include "core/error.hpp"
#include "core/log.hpp"
#include "core/strings.hpp"

namespace plumb {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (const std::int64_t extent : shape) text += cat(text.size() > 1 ? ", " : "", extent);
  return text + "]";
}

/// "3 missing: a, b, c", at most eight by name; "" for none.
std::string listed(const char* what, const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 8;
  if (names.empty()) return "";
  const auto shown = std::span(names).first(std::min(names.size(), kShown));
  return cat("\n  ", names.size(), " ", what, ": ", join(shown, ", "),
             names.size() > kShown ? ", ..." : "");
}

bool is_weight_type(at::ScalarType type) {
  return type == at::kFloat || type == at::kHalf || type == at::kBFloat16;
}

/// A tied model computes logits with the embedding; some files store it a second time.
void drop_tied_head(TensorMap& weights, const std::string& where) {
  const auto head = weights.find(kHead);
  const auto embedding = weights.find(kEmbedding);
  if (head == weights.end() || embedding == weights.end()) return;
  const bool same = head->second.sizes() == embedding->second.sizes() &&
                    head->second.scalar_type() == embedding->second.scalar_type() &&
                    at::equal(head->second, embedding->second);
  if (!same) {
    log::warn(cat(where, ": ", kHead, " differs from ", kEmbedding,
                  " although tie_word_embeddings is set: it is not used"));
  }
  weights.erase(head);
}

}  // namespace

std::map<std::string, std::vector<std::int64_t>> expected_weights(const ModelConfig& config) {
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t q = config.num_heads * config.head_dim;
  const std::int64_t kv = config.num_kv_heads * config.head_dim;
  std::map<std::string, std::vector<std::int64_t>> shapes;
  shapes[kEmbedding] = {config.vocab_size, hidden};
  shapes["model.norm.weight"] = {hidden};
  if (!config.tie_word_embeddings) shapes[kHead] = {config.vocab_size, hidden};
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = cat("model.layers.", i, ".");
    const auto linear = [&](const char* name, std::int64_t out, std::int64_t in, bool bias) {
      shapes[layer + name + ".weight"] = {out, in};
      if (bias) shapes[layer + name + ".bias"] = {out};
    };
    shapes[layer + "input_layernorm.weight"] = {hidden};
    shapes[layer + "post_attention_layernorm.weight"] = {hidden};
    linear("self_attn.q_proj", q, hidden, config.qkv_bias);
    linear("self_attn.k_proj", kv, hidden, config.qkv_bias);
    linear("self_attn.v_proj", kv, hidden, config.qkv_bias);
    linear("self_attn.o_proj", hidden, q, config.output_bias);
    linear("mlp.gate_proj", config.intermediate_size, hidden, false);
    linear("mlp.up_proj", config.intermediate_size, hidden, false);
    linear("mlp.down_proj", hidden, config.intermediate_size, false);
    if (config.qk_norm) {
      shapes[layer + "self_attn.q_norm.weight"] = {config.head_dim};
      shapes[layer + "self_attn.k_norm.weight"] = {config.head_dim};
    }
  }
  return shapes;
}

void check_weights(const ModelConfig& config, TensorMap& weights, const std::string& where) {
  std::erase_if(weights,
                [](const auto& item) { return item.first.ends_with("rotary_emb.inv_freq"); });
  if (config.tie_word_embeddings) drop_tied_head(weights, where);
  const auto expected = expected_weights(config);
  std::vector<std::string> missing, unexpected, misshapen, mistyped;
  for (const auto& [name, shape] : expected) {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      missing.push_back(name);
    } else if (found->second.sizes() != at::IntArrayRef(shape)) {
      misshapen.push_back(
          cat(name, " is ", shape_text(found->second.sizes()), ", expected ", shape_text(shape)));
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!expected.contains(name)) unexpected.push_back(name);
    if (!is_weight_type(tensor.scalar_type())) {
      mistyped.push_back(cat(name, " is ", c10::toString(tensor.scalar_type())));
    }
  }
  const std::string complaints =
      listed("missing", missing) + listed("unexpected", unexpected) +
      listed("of another shape", misshapen) +
      listed("of a type other than float32, float16, bfloat16", mistyped);
  if (!complaints.empty()) {
    throw DataError(cat(where, ": the tensors do not fit the architecture ", config.model_type,
                        " (", config.num_layers, " layers):", complaints));
  }
}

}  // namespace plumb
