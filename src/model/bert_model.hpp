#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/kernels.hpp"
#include "model/bert_config.hpp"
#include "model/checkpoint.hpp"

namespace plumb {

/// Forward pass of BERT (arXiv:1810.04805) in float32, without padding. The rows of a text do not
/// depend on what else is in the batch.
class BertModel {
 public:
  /// Accepts the prefix `bert.`, the old names gamma and beta, and heads and buffers that are not
  /// needed. Throws DataError listing everything that is missing or of another shape.
  BertModel(const BertConfig& config, const TensorMap& weights, const std::string& where);

  /// @param texts  token ids of each text, [CLS] and [SEP] included, sorted by length (equal
  /// lengths share one attention call)
  /// @return [N, H] float32 last hidden states, text after text
  at::Tensor forward(std::span<const std::vector<std::int32_t>* const> texts) const;

 private:
  struct Norm {
    at::Tensor weight, bias;  // [H]
  };
  struct Linear {
    kernels::PackedWeight weight;
    at::Tensor bias;
  };
  struct Layer {
    Linear qkv, attention_output, intermediate, output;
    Norm attention_norm, output_norm;
  };
  at::Tensor embed(std::span<const std::vector<std::int32_t>* const> texts) const;
  at::Tensor attention(const at::Tensor& qkv,
                       std::span<const std::vector<std::int32_t>* const> texts) const;
  at::Tensor normalized(const at::Tensor& x, const Norm& norm) const;

  BertConfig config_;
  at::Tensor words_;      // [V, H]
  at::Tensor positions_;  // [P, H], the embedding of token type 0 added
  Norm embedding_norm_;
  std::vector<Layer> layers_;
};

}  // namespace plumb
