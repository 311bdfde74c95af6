#include "model/gguf.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <array>

#include "core/error.hpp"
#include "core/files.hpp"
#include "formats/gguf_dequantize.hpp"
#include "model/weight_names.hpp"

namespace plumb {
namespace {

constexpr const char* kRopeDivisors = "rope_freqs.weight";

struct NamePair {
  std::string_view gguf, hugging_face;
};
constexpr std::array<NamePair, 3> kOuterNames{
    {{"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}}};
constexpr std::array<NamePair, 11> kLayerNames{{{"attn_norm", "input_layernorm"},
                                                {"ffn_norm", "post_attention_layernorm"},
                                                {"attn_q", "self_attn.q_proj"},
                                                {"attn_k", "self_attn.k_proj"},
                                                {"attn_v", "self_attn.v_proj"},
                                                {"attn_output", "self_attn.o_proj"},
                                                {"attn_q_norm", "self_attn.q_norm"},
                                                {"attn_k_norm", "self_attn.k_norm"},
                                                {"ffn_gate", "mlp.gate_proj"},
                                                {"ffn_up", "mlp.up_proj"},
                                                {"ffn_down", "mlp.down_proj"}}};

template <std::size_t N>
std::string_view translated(const std::array<NamePair, N>& table, std::string_view name) {
  for (const NamePair& pair : table) {
    if (pair.gguf == name) return pair.hugging_face;
  }
  return {};
}

/// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; a name that is not known
/// stays as it is (and is then reported as unexpected).
std::string hugging_face_name(const std::string& name) {
  constexpr std::string_view kBlock = "blk.";
  const std::size_t last = name.rfind('.');
  if (last == std::string::npos) return name;
  const std::string suffix = name.substr(last);
  const std::string_view stem = std::string_view(name).substr(0, last);
  if (!stem.starts_with(kBlock)) {
    const auto outer = translated(kOuterNames, stem);
    return outer.empty() ? name : std::string(outer) + suffix;
  }
  const std::size_t dot = stem.find('.', kBlock.size());
  if (dot == std::string_view::npos) return name;
  const auto inner = translated(kLayerNames, stem.substr(dot + 1));
  return inner.empty() ? name
                       : cat("model.layers.", stem.substr(kBlock.size(), dot - kBlock.size()), ".",
                             inner, suffix);
}

at::Tensor dequantized(const GgufTensor& tensor, const std::byte* file) {
  const GgmlTypeInfo& info = ggml_type_info(tensor.type);
  at::Tensor values = at::empty(tensor.shape, at::kFloat);
  float* out = values.mutable_data_ptr<float>();
  const auto blocks = tensor.values / static_cast<std::int64_t>(info.block_values);
  constexpr std::int64_t kValuesPerTask = 1 << 15;
  const std::int64_t grain = kValuesPerTask / static_cast<std::int64_t>(info.block_values);
  at::parallel_for(0, blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    dequantize(tensor.type,
               file + tensor.begin + static_cast<std::size_t>(begin) * info.block_bytes,
               static_cast<std::size_t>(end - begin),
               out + begin * static_cast<std::int64_t>(info.block_values));
  });
  return values;
}

/// Files of architecture llama store each head's rows of q and k as pairs (k, k + D/2); Hugging
/// Face stores the two halves one after the other. @param rows [heads * D, ...]
at::Tensor half_split_rows(const at::Tensor& rows, std::int64_t heads, const GgufTensor& tensor,
                           const std::string& where) {
  const std::int64_t pairs = rows.size(0) / heads / 2;
  if (rows.size(0) != pairs * 2 * heads) {
    throw DataError(cat(where, ": tensor \"", tensor.name, "\" has ", rows.size(0),
                        " rows, expected an even number for each of ", heads, " heads"));
  }
  return rows.view({heads, pairs, 2, -1}).transpose(1, 2).reshape(rows.sizes()).contiguous();
}

std::vector<double> rope_divisors(const GgufHeader& header, const std::byte* file) {
  for (const GgufTensor& tensor : header.tensors) {
    if (tensor.name != kRopeDivisors) continue;
    std::vector<double> divisors;
    const at::Tensor values = dequantized(tensor, file);
    for (std::int64_t i = 0; i < values.numel(); ++i) {
      divisors.push_back(values.const_data_ptr<float>()[i]);
      if (!(divisors.back() > 0)) {
        throw DataError(cat(header.metadata.where(), ": ", kRopeDivisors, " holds ",
                            divisors.back(), ", expected positive numbers"));
      }
    }
    return divisors;
  }
  return {};
}

}  // namespace

GgufModel read_gguf(const std::filesystem::path& path) {
  const MappedFile file(path);
  return read_gguf(std::span(file.data(), file.size()), path.string());
}

GgufModel read_gguf(std::span<const std::byte> file, const std::string& where) {
  const GgufHeader header = parse_gguf_header(file, where);
  GgufModel model;
  model.config = gguf_model_config(header, rope_divisors(header, file.data()));
  model.vocabulary = gguf_vocabulary(header.metadata);
  model.chat_template = header.metadata.text("tokenizer.chat_template").value_or("");
  if (static_cast<std::int64_t>(model.vocabulary.tokens.size()) > model.config.vocab_size) {
    throw DataError(cat(where, ": has ", model.vocabulary.tokens.size(), " tokens, but only ",
                        model.config.vocab_size, " embedding rows"));
  }
  const bool interleaved = header.metadata.text("general.architecture") == "llama";
  for (const GgufTensor& tensor : header.tensors) {
    if (tensor.name == kRopeDivisors) continue;
    const std::string name = hugging_face_name(tensor.name);
    at::Tensor values = dequantized(tensor, file.data());
    if (interleaved && name.find("self_attn.q_proj") != std::string::npos) {
      values = half_split_rows(values, model.config.num_heads, tensor, where);
    } else if (interleaved && name.find("self_attn.k_proj") != std::string::npos) {
      values = half_split_rows(values, model.config.num_kv_heads, tensor, where);
    }
    if (!model.weights.emplace(name, std::move(values)).second) {
      throw DataError(cat(where, ": holds the tensor ", name, " twice under different names"));
    }
  }
  check_weights(model.config, model.weights, where);
  return model;
}

}  // namespace plumb
