#include "model/bert_model.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb {
namespace {

using Texts = std::span<const std::vector<std::int32_t>* const>;

/// Tensors of a BERT file under today's names; collects complaints.
class BertWeights {
 public:
  explicit BertWeights(const TensorMap& weights) {
    for (const auto& [name, tensor] : weights) weights_.emplace(current_name(name), tensor);
  }

  at::Tensor take(const std::string& name, std::vector<std::int64_t> shape) {
    const auto found = weights_.find(name);
    const bool fits = found != weights_.end() && found->second.sizes() == at::IntArrayRef(shape) &&
                      found->second.is_floating_point();
    if (!fits) {
      complaints_.push_back(
          cat(name, found == weights_.end() ? " is missing" : " has another shape or type"));
      return at::empty(shape);
    }
    return found->second.to(at::kFloat);
  }

  void finish(const std::string& where) const {
    if (complaints_.empty()) return;
    constexpr std::size_t kShown = 8;
    const auto shown = std::span(complaints_).first(std::min(complaints_.size(), kShown));
    throw DataError(cat(where, ": ", complaints_.size(),
                        " tensors do not fit the architecture bert: ", join(shown, ", "),
                        complaints_.size() > kShown ? ", ..." : ""));
  }

 private:
  static std::string current_name(std::string name) {
    if (name.starts_with("bert.")) name.erase(0, 5);
    if (name.ends_with(".gamma")) name.replace(name.size() - 5, 5, "weight");
    if (name.ends_with(".beta")) name.replace(name.size() - 4, 4, "bias");
    return name;
  }

  TensorMap weights_;
  std::vector<std::string> complaints_;
};

/// Number of texts from `first` on that have its length.
std::size_t equal_lengths(Texts texts, std::size_t first) {
  std::size_t end = first;
  while (end < texts.size() && texts[end]->size() == texts[first]->size()) ++end;
  return end - first;
}

}  // namespace

BertModel::BertModel(const BertConfig& config, const TensorMap& weights, const std::string& where)
    : config_(config) {
  BertWeights file(weights);
  const std::int64_t hidden = config.hidden_size;
  const auto norm = [&](const std::string& name) {
    return Norm{file.take(name + ".weight", {hidden}), file.take(name + ".bias", {hidden})};
  };
  const auto linear = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    const at::Tensor weight = file.take(name + ".weight", {out, in}).contiguous();
    return Linear{{weight, kernels::Precision::kFloat32}, file.take(name + ".bias", {out})};
  };
  const std::string embeddings = "embeddings.";
  words_ = file.take(embeddings + "word_embeddings.weight", {config.vocab_size, hidden});
  const at::Tensor types =
      file.take(embeddings + "token_type_embeddings.weight", {config.token_types, hidden});
  positions_ = file.take(embeddings + "position_embeddings.weight", {config.max_positions, hidden})
                   .add(types[0]);
  embedding_norm_ = norm(embeddings + "LayerNorm");
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = cat("encoder.layer.", i, ".");
    std::vector<at::Tensor> parts, biases;
    for (const char* part : {"query", "key", "value"}) {
      const std::string name = layer + "attention.self." + part;
      parts.push_back(file.take(name + ".weight", {hidden, hidden}));
      biases.push_back(file.take(name + ".bias", {hidden}));
    }
    layers_.push_back(
        {.qkv = {{at::cat(parts), kernels::Precision::kFloat32}, at::cat(biases)},
         .attention_output = linear(layer + "attention.output.dense", hidden, hidden),
         .intermediate = linear(layer + "intermediate.dense", config.intermediate_size, hidden),
         .output = linear(layer + "output.dense", hidden, config.intermediate_size),
         .attention_norm = norm(layer + "attention.output.LayerNorm"),
         .output_norm = norm(layer + "output.LayerNorm")});
  }
  file.finish(where);
}

at::Tensor BertModel::normalized(const at::Tensor& x, const Norm& norm) const {
  return at::layer_norm(x, {config_.hidden_size}, norm.weight, norm.bias, config_.layer_norm_eps);
}

at::Tensor BertModel::embed(Texts texts) const {
  std::vector<std::int64_t> ids, positions;
  for (const auto* text : texts) {
    expects(static_cast<std::int64_t>(text->size()) <= config_.max_positions,
            "texts no longer than the position table");
    ids.insert(ids.end(), text->begin(), text->end());
    for (std::size_t i = 0; i < text->size(); ++i)
      positions.push_back(static_cast<std::int64_t>(i));
  }
  at::Tensor sum = words_.index_select(0, at::tensor(ids));
  sum.add_(positions_.index_select(0, at::tensor(positions)));
  return normalized(sum, embedding_norm_);
}

at::Tensor BertModel::attention(const at::Tensor& qkv, Texts texts) const {
  const std::int64_t heads = config_.num_heads, head_dim = config_.hidden_size / heads;
  at::Tensor out = at::empty({qkv.size(0), config_.hidden_size});
  std::int64_t row = 0;
  for (std::size_t first = 0; first < texts.size();) {
    const std::size_t group = equal_lengths(texts, first);
    const auto count = static_cast<std::int64_t>(group);
    const auto length = static_cast<std::int64_t>(texts[first]->size());
    const at::Tensor parts = qkv.narrow(0, row, count * length)
                                 .view({count, length, 3, heads, head_dim})
                                 .permute({2, 0, 3, 1, 4});  // [3, texts, heads, length, head_dim]
    const at::Tensor mixed = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]);
    out.narrow(0, row, count * length)
        .view({count, length, heads, head_dim})
        .copy_(mixed.transpose(1, 2));
    row += count * length;
    first += group;
  }
  return out;
}

at::Tensor BertModel::forward(Texts texts) const {
  const auto apply = [](const at::Tensor& x, const Linear& linear) {
    return kernels::linear(x, linear.weight, linear.bias);
  };
  at::Tensor x = embed(texts);
  for (const Layer& layer : layers_) {
    const at::Tensor mixed = attention(apply(x, layer.qkv), texts);
    x = normalized(apply(mixed, layer.attention_output).add_(x), layer.attention_norm);
    const at::Tensor inner = at::gelu(apply(x, layer.intermediate));
    x = normalized(apply(inner, layer.output).add_(x), layer.output_norm);
  }
  return x;
}

}  // namespace plumb
