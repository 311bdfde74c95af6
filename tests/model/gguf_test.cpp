#include "model/gguf.hpp"

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>

#include <random>

#include "core/error.hpp"
#include "model/model_files.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

/// Rows of q or k as a converter for llama stores them: (head, half, pair) -> (head, pair, half).
at::Tensor interleaved(const at::Tensor& rows, std::int64_t heads) {
  return rows.view({heads, 2, rows.size(0) / heads / 2, -1}).transpose(1, 2).reshape(rows.sizes());
}

const std::map<std::string, std::string> kNames{
    {"input_layernorm", "attn_norm"},    {"post_attention_layernorm", "ffn_norm"},
    {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},      {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"}, {"self_attn.k_norm", "attn_k_norm"},
    {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"}};

std::string gguf_name(const std::string& name) {
  if (name == "model.embed_tokens.weight") return "token_embd.weight";
  if (name == "model.norm.weight") return "output_norm.weight";
  if (name == "lm_head.weight") return "output.weight";
  const std::size_t layer = std::string("model.layers.").size(), dot = name.find('.', layer),
                    last = name.rfind('.');
  return "blk." + name.substr(layer, dot - layer) + "." +
         kNames.at(name.substr(dot + 1, last - dot - 1)) + name.substr(last);
}

test::GgufBuilder metadata(const std::string& architecture, const ModelConfig& config) {
  const auto u32 = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
  test::GgufBuilder builder;
  const std::string a = architecture + ".";
  builder.text("general.architecture", architecture).u32(a + "block_count", u32(config.num_layers));
  builder.u32(a + "context_length", u32(config.max_position_embeddings))
      .u32(a + "embedding_length", u32(config.hidden_size));
  builder.u32(a + "feed_forward_length", u32(config.intermediate_size))
      .u32(a + "attention.head_count", u32(config.num_heads));
  builder.u32(a + "attention.head_count_kv", u32(config.num_kv_heads))
      .f32(a + "attention.layer_norm_rms_epsilon", 1e-5F);
  builder.f32(a + "rope.freq_base", 5e5F);
  builder.text("tokenizer.ggml.model", "gpt2").text("tokenizer.ggml.pre", "smollm");
  builder.array<std::string>("tokenizer.ggml.tokens", 8, {"<|endoftext|>", "a", "b", "ab"});
  builder.array<std::int32_t>("tokenizer.ggml.token_type", 5, {3, 1, 1, 1})
      .array<std::string>("tokenizer.ggml.merges", 8, {"a b"});
  builder.u32("tokenizer.ggml.eos_token_id", 2)
      .u32("tokenizer.ggml.eot_token_id", 5)
      .u32("tokenizer.ggml.bos_token_id", 1);
  builder.boolean("tokenizer.ggml.add_bos_token", false)
      .text("tokenizer.chat_template", "{{ messages }}");
  return builder;
}

void add_tensors(test::GgufBuilder& builder, const ModelConfig& config, const TensorMap& weights,
                 bool interleave) {
  for (const auto& [name, tensor] : weights) {
    at::Tensor stored = tensor;
    if (interleave && name.find("q_proj") != std::string::npos)
      stored = interleaved(tensor, config.num_heads);
    if (interleave && name.find("k_proj") != std::string::npos)
      stored = interleaved(tensor, config.num_kv_heads);
    std::vector<std::uint64_t> dims(stored.sizes().begin(), stored.sizes().end());
    std::reverse(dims.begin(), dims.end());
    builder.tensor(gguf_name(name), dims, 0, test::tensor_bytes(stored));
  }
}

GgufModel through_file(const std::string& bytes) {
  return read_gguf({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "m.gguf");
}

}  // namespace

TEST_CASE("gguf: a model of each architecture comes back in Hugging Face order",
          "[unit][model_files]") {
  const std::string family = GENERATE("llama", "qwen2", "qwen3");
  const bool tied = GENERATE(true, false);
  ModelConfig config = test::tiny_config(family);
  config.tie_word_embeddings = tied;
  const TensorMap weights = test::random_weights(config);
  test::GgufBuilder builder = metadata(family, config);
  add_tensors(builder, config, weights, family == "llama");
  const GgufModel model = through_file(builder.file());
  CHECK(model.config.model_type == family);
  CHECK(model.config.tie_word_embeddings == tied);
  CHECK(model.config.qkv_bias == config.qkv_bias);
  CHECK(model.config.qk_norm == config.qk_norm);
  CHECK(model.config.head_dim == 4);
  CHECK(model.config.vocab_size == 40);
  CHECK(model.config.rope_theta == 5e5);
  CHECK(model.config.bos == 1);
  CHECK(model.config.eos == std::vector<std::int32_t>{2, 5});
  CHECK(model.chat_template == "{{ messages }}");
  REQUIRE(model.weights.size() == weights.size());
  for (const auto& [name, tensor] : weights) {
    INFO(name);
    CHECK(at::equal(model.weights.at(name), tensor));
  }
  CHECK(model.vocabulary.model == "gpt2");
  CHECK(model.vocabulary.tokens.size() == 4);
  CHECK(model.vocabulary.merges == std::vector<std::string>{"a b"});
  CHECK(model.vocabulary.token_types == std::vector<std::int32_t>{3, 1, 1, 1});
  CHECK_FALSE(model.vocabulary.add_bos);
}

TEST_CASE("gguf: rope frequencies", "[unit][model_files]") {
  const ModelConfig config = test::tiny_config();
  test::GgufBuilder builder = metadata("llama", config);
  add_tensors(builder, config, test::random_weights(config), true);
  builder.tensor("rope_freqs.weight", {2}, 0, test::float_bytes({1, 3}));
  CHECK(through_file(builder.file()).config.rope_scaling.frequency_divisors ==
        std::vector<double>{1, 3});
  builder = metadata("llama", config);
  add_tensors(builder, config, test::random_weights(config), true);
  builder.tensor("rope_freqs.weight", {3}, 0, test::float_bytes({1, 2, 3}));
  CHECK_THROWS_WITH(through_file(builder.file()), Catch::Contains("rope_freqs"));
}

TEST_CASE("gguf: what is refused", "[unit][model_files]") {
  const ModelConfig config = test::tiny_config();
  TensorMap weights = test::random_weights(config);
  test::GgufBuilder other = metadata("gemma2", config);
  add_tensors(other, config, weights, false);
  CHECK_THROWS_WITH(through_file(other.file()),
                    Catch::Contains("gemma2") && Catch::Contains("qwen3"));

  test::GgufBuilder experts = metadata("llama", config);
  experts.u32("llama.expert_count", 8);
  add_tensors(experts, config, weights, true);
  CHECK_THROWS_WITH(through_file(experts.file()), Catch::Contains("expert_count"));

  weights.erase("model.norm.weight");
  weights["model.layers.1.mlp.up_proj.weight"] = at::randn({3, 16});
  test::GgufBuilder incomplete = metadata("llama", config);
  add_tensors(incomplete, config, weights, true);
  incomplete.tensor("blk.0.mystery.weight", {1}, 0, test::float_bytes({1}));
  CHECK_THROWS_WITH(through_file(incomplete.file()),
                    Catch::Contains("1 missing: model.norm.weight") &&
                        Catch::Contains("1 unexpected: blk.0.mystery.weight") &&
                        Catch::Contains("up_proj.weight is [3, 16], expected [24, 16]"));
}

TEST_CASE("gguf: mutated files end in a model or a DataError", "[unit][model_files]") {
  const ModelConfig config = test::tiny_config();
  test::GgufBuilder builder = metadata("llama", config);
  add_tensors(builder, config, test::random_weights(config), true);
  const std::string file = builder.file();
  const std::size_t header = 3000;  // metadata and tensor infos
  std::mt19937 random(20260101);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string changed = file;
    for (int k = 0; k < 2; ++k) changed[random() % header] = static_cast<char>(random());
    try {
      through_file(changed);
    } catch (const DataError&) {
      ++refused;
    }
  }
  CHECK(refused > 1000);
}

TEST_CASE("gguf: SmolLM2 as transformers reads it", "[model][golden][model_files]") {
  const auto path = test::model_path("smollm2-135m-instruct") / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    WARN("skipped: " << path << " is not there (scripts/setup fetches it)");
    return;
  }
  const GgufModel model = read_gguf(path);
  CHECK(model.config.model_type == "llama");
  CHECK(model.config.tie_word_embeddings);
  CHECK(model.config.num_layers == 30);
  CHECK(model.config.rope_theta == 1e5);
  CHECK(model.config.rms_norm_eps == 1e-5);
  CHECK(model.config.eos == std::vector<std::int32_t>{2});
  CHECK(model.config.parameter_count() == 134'515'008);
  CHECK(model.vocabulary.merges.size() == 48'900);
  const auto golden = test::golden("gguf_dequant.json");
  for (const auto& expected : golden["tensors"]) {
    INFO(expected["transformers_name"]);
    const auto& numbers =
        expected.contains("transformers") ? expected["transformers"] : expected["dequantized"];
    const at::Tensor& tensor = model.weights.at(expected["transformers_name"]);
    CHECK(tensor.sizes().vec() == numbers["shape"].get<std::vector<std::int64_t>>());
    CHECK_THAT(tensor.sum(at::kDouble).item<double>(),
               Catch::WithinRel(numbers["sum"].get<double>(), 1e-6));
    CHECK_THAT(tensor.abs().sum(at::kDouble).item<double>(),
               Catch::WithinRel(numbers["abs_sum"].get<double>(), 1e-6));
    const float* values = tensor.const_data_ptr<float>();
    for (std::size_t i = 0; i < numbers["indices"].size(); ++i) {
      CHECK(values[numbers["indices"][i].get<std::size_t>()] == numbers["values"][i].get<float>());
    }
  }
}
