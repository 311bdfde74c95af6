#include "model/model_config.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "model/model_files.hpp"
#include "model/rope_config.hpp"

#include "support/catch.hpp"

using namespace plumb;
using nlohmann::json;

namespace {

json llama() {
  return json::parse(
      R"({"model_type": "llama", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 128,
      "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5})");
}

ModelConfig read(const json& config) { return ModelConfig::from_json(config, "config.json"); }

json with(json config, const char* changes) {
  config.update(json::parse(changes));
  return config;
}

}  // namespace

TEST_CASE("config: defaults of a llama", "[unit][model_files]") {
  const ModelConfig config = read(llama());
  CHECK(config.num_kv_heads == 4);
  CHECK(config.head_dim == 16);
  CHECK(config.rope_theta == 10000);
  CHECK(config.rope_scaling.type == "default");
  CHECK_FALSE(config.tie_word_embeddings);
  CHECK_FALSE(config.qkv_bias);
  CHECK_FALSE(config.sliding_window);
  CHECK(config.eos.empty());
  // Embedding and head 2*100*64, norms 5*64, per layer 4*64*64 + 3*64*128.
  CHECK(config.parameter_count() == 12800 + 320 + 2 * (16384 + 24576));
}

TEST_CASE("config: what the families fix", "[unit][model_files]") {
  const ModelConfig qwen2 =
      read(with(llama(), R"({"model_type": "qwen2", "sliding_window": 32768})"));
  CHECK(qwen2.qkv_bias);
  CHECK_FALSE(qwen2.output_bias);
  CHECK_FALSE(qwen2.sliding_window);  // use_sliding_window is absent
  const ModelConfig qwen3 = read(with(llama(), R"({"model_type": "qwen3"})"));
  CHECK(qwen3.qk_norm);
  CHECK(qwen3.head_dim == 128);  // Qwen3Config's default
  const ModelConfig bias = read(with(llama(), R"({"attention_bias": true})"));
  CHECK(bias.qkv_bias);
  CHECK(bias.output_bias);
  const json mistral = with(llama(), R"({"model_type": "mistral"})");
  CHECK(read(mistral).sliding_window == 4096);  // MistralConfig's default
  CHECK_FALSE(read(with(mistral, R"({"sliding_window": null})")).sliding_window);
}

TEST_CASE("config: both RoPE spellings", "[unit][model_files]") {
  const ModelConfig old_form = read(
      with(llama(), R"({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 4.0}})"));
  CHECK(old_form.rope_theta == 5e5);
  CHECK(old_form.rope_scaling.type == "linear");
  CHECK(old_form.rope_scaling.factor == 4);
  const ModelConfig new_form =
      read(with(llama(), R"({"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5,
      "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})"));
  CHECK(new_form.rope_theta == 5e5);
  CHECK(new_form.rope_scaling.type == "llama3");
  CHECK(new_form.rope_scaling.original_max_position == 8192);
  const ModelConfig yarn = read(with(
      llama(),
      R"({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "mscale": 1.0, "mscale_all_dim": 0.5}})"));
  // (0.1 ln 4 + 1) / (0.05 ln 4 + 1)
  CHECK_THAT(yarn.rope_scaling.attention_factor,
             Catch::WithinAbs(1.1386294361 / 1.0693147181, 1e-9));
  CHECK(yarn.rope_scaling.original_max_position == 0);
}

TEST_CASE("config: end-of-sequence ids are a number or a list", "[unit][model_files]") {
  CHECK(read(with(llama(), R"({"eos_token_id": 7})")).eos == std::vector<std::int32_t>{7});
  CHECK(read(with(llama(), R"({"eos_token_id": [7, 9]})")).eos == std::vector<std::int32_t>{7, 9});
  CHECK(read(with(llama(), R"({"eos_token_id": null, "pad_token_id": -1})")).eos.empty());
  CHECK_THROWS_AS(read(with(llama(), R"({"eos_token_id": "x"})")), DataError);
}

TEST_CASE("config: what is refused says which field", "[unit][model_files]") {
  const auto refused = [](const char* changes, const char* word) {
    INFO(changes);
    CHECK_THROWS_AS(read(with(llama(), changes)), DataError);
    CHECK_THROWS_WITH(read(with(llama(), changes)),
                      Catch::Contains(word) && Catch::Contains("config.json"));
  };
  refused(R"({"model_type": "gemma2"})", "llama, mistral, qwen2, qwen3");
  refused(R"({"model_type": null})", "model_type");
  refused(R"({"vocab_size": null})", "vocab_size");
  refused(R"({"hidden_size": "64"})", "hidden_size");
  refused(R"({"hidden_size": 0})", "hidden_size");
  refused(R"({"hidden_size": 1e300})", "hidden_size");
  refused(R"({"num_hidden_layers": 1000000})", "num_hidden_layers");
  refused(R"({"num_key_value_heads": 3})", "key-value heads");
  refused(R"({"num_attention_heads": 5})", "head size");
  refused(R"({"head_dim": 15})", "head size");
  refused(R"({"hidden_act": "gelu"})", "hidden_act");
  refused(R"({"mlp_bias": true})", "mlp_bias");
  refused(R"({"rms_norm_eps": 0})", "rms_norm_eps");
  refused(R"({"rope_theta": -1})", "rope_theta");
  refused(R"({"rope_scaling": {"type": "dynamic", "factor": 2}})", "dynamic");
  refused(R"({"rope_scaling": {"type": "linear"}})", "factor");
  refused(R"({"rope_scaling": [1]})", "rope_scaling");
  refused(
      R"({"rope_scaling": {"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}})",
      "high_freq_factor");
  refused(R"({"partial_rotary_factor": 0.5})", "partial_rotary_factor");
  refused(R"({"quantization_config": {}})", "quantization_config");
  refused(R"({"model_type": "qwen2", "use_sliding_window": true, "max_window_layers": 1})",
          "some of the layers");
}

TEST_CASE("config: to_json and back", "[unit][model_files]") {
  const std::string family = GENERATE("llama", "mistral", "qwen2", "qwen3");
  const std::string scaling = GENERATE("default", "linear", "llama3", "yarn");
  ModelConfig config = test::tiny_config(family);
  config.rope_scaling.type = scaling;
  if (scaling != "default") config.rope_scaling.factor = 4;
  if (scaling == "llama3" || scaling == "yarn") config.rope_scaling.original_max_position = 32;
  if (family == "mistral") config.sliding_window = 48;
  config.rope_theta = 5e5;
  const json written = config.to_json("bfloat16");
  CHECK(written["torch_dtype"] == "bfloat16");
  CHECK(read(written).to_json("bfloat16") == written);
  CHECK(read(written).sliding_window == config.sliding_window);
  CHECK(read(written).eos == config.eos);
}

TEST_CASE("config: llama3 scaling is recognised in the divisors of a GGUF file",
          "[unit][model_files]") {
  RopeScaling llama31;
  llama31.type = "llama3";
  llama31.factor = 8;
  llama31.low_freq_factor = 1;
  llama31.high_freq_factor = 4;
  llama31.original_max_position = 8192;
  ModelConfig config = test::tiny_config();
  config.head_dim = 128;
  config.rope_theta = 5e5;
  config.rope_scaling.frequency_divisors = llama3_divisors(llama31, 5e5, 128);
  // Short wavelengths are kept, long ones divided by the factor.
  CHECK(config.rope_scaling.frequency_divisors.front() == 1);
  CHECK(config.rope_scaling.frequency_divisors.back() == 8);
  recognise_llama3(config);
  CHECK(config.rope_scaling.type == "llama3");
  CHECK(config.rope_scaling.factor == 8);
  CHECK(config.rope_scaling.frequency_divisors.empty());

  config.rope_scaling = {};
  config.rope_scaling.frequency_divisors = std::vector<double>(64, 3.0);
  recognise_llama3(config);
  CHECK(config.rope_scaling.frequency_divisors.size() == 64);
  CHECK_THROWS_AS(config.to_json("float32"), DataError);
}

TEST_CASE("config: any value in any field ends in a config or a DataError", "[unit][model_files]") {
  json config =
      test::tiny_config(GENERATE("llama", "mistral", "qwen2", "qwen3")).to_json("float32");
  config["layer_types"] = json::array({"full_attention", "full_attention"});
  config["rope_scaling"] = {{"rope_type", "yarn"}, {"factor", 4.0}, {"mscale", 1.0}};
  config["rope_parameters"]["factor"] = 2.0;
  const json values = json::parse(
      R"([null, true, 0, -1, 1, 3, 1.5, 1e308, 9223372036854775807, 18446744073709551615, "", "yarn", [], [1, "x"], {}, {"a": 1}])");
  int refused = 0;
  const auto attempt = [&](const json& changed) {
    try {
      const std::int64_t count = read(changed).parameter_count();
      CHECK(count > 0);
    } catch (const DataError&) {
      ++refused;
    }
  };
  for (const auto& [key, original] : config.items()) {
    for (const json& value : values) {
      json changed = config;
      changed[key] = value;
      attempt(changed);
      for (const char* inner :
           {"rope_type", "type", "factor", "rope_theta", "mscale", "truncate"}) {
        if (!original.is_object()) continue;
        changed = config;
        changed[key][inner] = value;
        attempt(changed);
      }
    }
  }
  CHECK(refused > 100);
}
