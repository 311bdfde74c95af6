#include "model/encoder.hpp"

#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>

#include "core/error.hpp"
#include "core/hash.hpp"
#include "model/bert_config.hpp"
#include "model/bert_model.hpp"
#include "model/model_files.hpp"
#include "model/safetensors.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::unique_ptr<Encoder> minilm() {
  const fs::path folder = test::model_path("all-minilm-l6-v2");
  if (fs::exists(folder)) return Encoder::load(folder);
  WARN("skipped: " << folder << " is not there (scripts/setup fetches it)");
  return nullptr;
}

/// Last hidden states of one text's tokens, [tokens, H].
at::Tensor hidden_states(const BertModel& model, const std::vector<std::int32_t>& ids) {
  const std::vector<const std::vector<std::int32_t>*> texts{&ids};
  return model.forward(texts);
}

std::vector<std::string> golden_texts(const json& golden) {
  std::vector<std::string> texts;
  for (const json& row : golden["texts"]) texts.push_back(row["text"]);
  return texts;
}

at::Tensor normalized(const at::Tensor& x) { return x.div(x.norm(2, {1}, true)); }

double largest_difference(const at::Tensor& got, const json& expected) {
  double largest = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double value = got[static_cast<std::int64_t>(i)].item<double>();
    largest = std::max(largest, std::abs(value - test::number(expected[i])));
  }
  return largest;
}

json bert_json() {
  return json::parse(
      R"({"model_type": "bert", "vocab_size": 30, "hidden_size": 8, "intermediate_size": 12,
      "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 16, "type_vocab_size": 2})");
}

BertConfig read_with(const json& config, const std::map<std::string, std::string>& files) {
  const test::TempDir folder;
  test::write_text(folder / "config.json", config.dump());
  for (const auto& [name, text] : files) {
    fs::create_directories((folder / name).parent_path());
    test::write_text(folder / name, text);
  }
  return read_bert_config(folder.path());
}

TensorMap bert_weights(const BertConfig& config) {
  const std::int64_t h = config.hidden_size;
  TensorMap weights;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
    weights[name] = at::randn(shape).mul(0.3);
  };
  const auto dense = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  const auto norm = [&](const std::string& name) {
    add(name + ".weight", {h});
    add(name + ".bias", {h});
  };
  add("embeddings.word_embeddings.weight", {config.vocab_size, h});
  add("embeddings.position_embeddings.weight", {config.max_positions, h});
  add("embeddings.token_type_embeddings.weight", {config.token_types, h});
  norm("embeddings.LayerNorm");
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string layer = cat("encoder.layer.", i, ".");
    for (const char* part : {"query", "key", "value"})
      dense(layer + "attention.self." + part, h, h);
    dense(layer + "attention.output.dense", h, h);
    norm(layer + "attention.output.LayerNorm");
    dense(layer + "intermediate.dense", config.intermediate_size, h);
    dense(layer + "output.dense", h, config.intermediate_size);
    norm(layer + "output.LayerNorm");
  }
  return weights;
}

at::Tensor forward(const BertModel& model, const std::vector<std::vector<std::int32_t>>& texts) {
  std::vector<const std::vector<std::int32_t>*> pointers;
  for (const auto& text : texts) pointers.push_back(&text);
  return model.forward(pointers);
}

}  // namespace

TEST_CASE("encoder: MiniLM equals sentence-transformers and transformers",
          "[model][golden][encoder]") {
  const auto encoder = minilm();
  if (!encoder) return;
  const json golden = test::golden("minilm.json");
  CHECK(encoder->max_tokens() == golden["max_seq_length"]);
  CHECK(encoder->dimension() == 384);
  CHECK(encoder->normalizes());
  const auto texts = golden_texts(golden);
  const fs::path folder = test::model_path("all-minilm-l6-v2");
  const BertModel bert(read_bert_config(folder), read_safetensors(folder / "model.safetensors"),
                       folder.string());
  const at::Tensor means = encoder->embed(texts);
  const at::Tensor units = normalized(means);
  REQUIRE(means.sizes() == at::IntArrayRef({static_cast<std::int64_t>(texts.size()), 384}));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    INFO(texts[i].substr(0, 60));
    const json& row = golden["texts"][i];
    CHECK(encode_for_encoder(encoder->tokenizer(), texts[i], 256) ==
          row["ids"].get<std::vector<std::int32_t>>());
    const auto r = static_cast<std::int64_t>(i);
    const at::Tensor states = hidden_states(bert, row["ids"]);
    CHECK(largest_difference(states[0], row["first_token_state"]) < 1e-5);
    CHECK(largest_difference(means[r], row["mean_pooled"]) < 1e-5);
    CHECK_THAT(means[r].norm().item<double>(), Catch::WithinRel(row["norm"].get<double>(), 1e-5));
    CHECK(largest_difference(units[r], row["normalized"]) < 2e-6);
    CHECK(largest_difference(units[r], row["sentence_transformers"]) < 2e-6);
    if (row.contains("normalized_full"))
      CHECK(largest_difference(units[r], row["normalized_full"]) < 2e-6);
  }
  const at::Tensor cosines = at::mm(units, units.t());
  for (std::int64_t i = 0; i < cosines.size(0); ++i) {
    CHECK(largest_difference(cosines[i], golden["cosine"][static_cast<std::size_t>(i)]) < 2e-6);
  }
}

TEST_CASE("encoder: a text's embedding does not depend on the others", "[model][encoder]") {
  const auto encoder = minilm();
  if (!encoder) return;
  const auto texts = golden_texts(test::golden("minilm.json"));
  const at::Tensor together = encoder->embed(texts);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CHECK(at::equal(encoder->embed(std::span(texts).subspan(i, 1))[0],
                    together[static_cast<std::int64_t>(i)]));
  }
  CHECK(encoder->embed({}).sizes() == at::IntArrayRef({0, 384}));
}

TEST_CASE("encoder: long texts lose their end, or their beginning", "[model][encoder]") {
  const auto encoder = minilm();
  if (!encoder) return;
  std::string head, tail;
  for (int i = 0; i < 254; ++i) head += "alpha ", tail += "omega ";
  const std::vector<std::string> texts{head, tail, head + tail};
  const at::Tensor front = encoder->embed(texts), back = encoder->embed(texts, true);
  CHECK(at::equal(front[2], front[0]));
  CHECK(at::equal(back[2], front[1]));
}

TEST_CASE("encoder: the hash is the weight file's", "[model][encoder]") {
  const auto encoder = minilm();
  if (!encoder) return;
  CHECK(encoder->content_hash() ==
        sha256_hex_of_file(test::model_path("all-minilm-l6-v2") / "model.safetensors"));
}

TEST_CASE("bert config: plain folder and sentence-transformers folder", "[unit][encoder]") {
  const BertConfig plain = read_with(bert_json(), {});
  CHECK(plain.max_tokens == 16);
  CHECK_FALSE(plain.normalizes);
  const std::string modules = R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
      {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}, {"type": "x.Normalize", "path": "2_Normalize"}])";
  const BertConfig full = read_with(
      bert_json(),
      {{"modules.json", modules},
       {"1_Pooling/config.json",
        R"({"word_embedding_dimension": 8, "pooling_mode_mean_tokens": true, "pooling_mode_cls_token": false})"},
       {"sentence_bert_config.json", R"({"max_seq_length": 12})"},
       {"tokenizer_config.json", R"({"model_max_length": 1e30})"}});
  CHECK(full.max_tokens == 12);
  CHECK(full.normalizes);
  CHECK_NOTHROW(read_with(bert_json(), {{"modules.json", modules},
                                        {"1_Pooling/config.json", R"({"pooling_mode": "mean"})"}}));
  const auto refused = [&](const std::string& pooling, const char* word) {
    CHECK_THROWS_WITH(
        read_with(bert_json(), {{"modules.json", modules}, {"1_Pooling/config.json", pooling}}),
        Catch::Contains(word));
  };
  refused(R"({"pooling_mode_cls_token": true})", "only mean");
  refused(R"({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true})", "only mean");
  refused(R"({"pooling_mode": "cls"})", "only mean");
  refused(R"({"pooling_mode_mean_tokens": true, "word_embedding_dimension": 9})",
          "word_embedding_dimension");
  CHECK_THROWS_WITH(
      read_with(bert_json(),
                {{"modules.json", R"([{"type": "a.Transformer"}, {"type": "a.Dense"}])"}}),
      Catch::Contains("Dense"));
  CHECK_THROWS_AS(
      read_with(bert_json(), {{"modules.json", R"([{"type": "a.Transformer", "path": "../x"}])"}}),
      DataError);
  CHECK_THROWS_AS(read_with(bert_json(), {{"modules.json", "{}"}}), DataError);
}

TEST_CASE("bert config: other architectures are refused", "[unit][encoder]") {
  const auto refused = [](const char* changes, const char* word) {
    json config = bert_json();
    config.update(json::parse(changes));
    CHECK_THROWS_WITH(read_with(config, {}), Catch::Contains(word));
  };
  refused(R"({"model_type": "roberta"})", "roberta");
  refused(R"({"hidden_act": "relu"})", "relu");
  refused(R"({"position_embedding_type": "relative_key"})", "relative_key");
  refused(R"({"num_attention_heads": 3})", "attention heads");
  refused(R"({"vocab_size": 0})", "vocab_size");
}

TEST_CASE("bert: old names, prefix and unneeded tensors", "[unit][encoder]") {
  const BertConfig config = read_with(bert_json(), {});
  const TensorMap weights = bert_weights(config);
  const std::vector<std::vector<std::int32_t>> texts{{1, 2, 3}, {1, 4, 3}, {1, 2, 5, 3}};
  const at::Tensor expected = forward(BertModel(config, weights, "f"), texts);
  CHECK(expected.sizes() == at::IntArrayRef({10, 8}));
  TensorMap old_names;
  for (const auto& [name, tensor] : weights) {
    std::string old_name = "bert." + name;
    if (const auto at = old_name.find("LayerNorm.weight"); at != std::string::npos)
      old_name.replace(at, 16, "LayerNorm.gamma");
    if (const auto at = old_name.find("LayerNorm.bias"); at != std::string::npos)
      old_name.replace(at, 14, "LayerNorm.beta");
    old_names[old_name] = tensor;
  }
  old_names["bert.pooler.dense.weight"] = at::randn({8, 8});
  old_names["bert.embeddings.position_ids"] = at::randn({1, 16}).to(at::kLong);
  CHECK(at::equal(forward(BertModel(config, old_names, "f"), texts), expected));
}

TEST_CASE("bert: missing and misshapen tensors are listed together", "[unit][encoder]") {
  const BertConfig config = read_with(bert_json(), {});
  TensorMap weights = bert_weights(config);
  weights.erase("encoder.layer.1.output.dense.bias");
  weights["embeddings.LayerNorm.weight"] = at::randn({9});
  CHECK_THROWS_WITH(BertModel(config, weights, "some file"),
                    Catch::Contains("some file") &&
                        Catch::Contains("encoder.layer.1.output.dense.bias is missing") &&
                        Catch::Contains("embeddings.LayerNorm.weight has another shape"));
}

TEST_CASE("encoder: a folder without weights or of another model", "[unit][encoder]") {
  const test::TempDir folder;
  CHECK_THROWS_WITH(Encoder::load(folder.path()), Catch::Contains("config.json"));
  test::write_text(folder / "config.json", bert_json().dump());
  CHECK_THROWS_WITH(Encoder::load(folder.path()), Catch::Contains("model.safetensors"));
  CHECK_THROWS_AS(Encoder::load(folder / "nowhere"), DataError);
}

TEST_CASE("bert config: any value in any field ends in a config or a DataError",
          "[unit][encoder]") {
  const test::TempDir folder;
  const json modules =
      json::parse(R"([{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "p"}])");
  const json pooling = json::parse(
      R"({"word_embedding_dimension": 8, "pooling_mode_mean_tokens": true, "pooling_mode": "mean"})");
  const json lengths = json::parse(R"({"max_seq_length": 12})");
  const std::map<std::string, json> files{{"config.json", bert_json()},
                                          {"modules.json", modules},
                                          {"p/config.json", pooling},
                                          {"sentence_bert_config.json", lengths}};
  fs::create_directories(folder / "p");
  const auto write = [&](const std::string& name, const json& value) {
    test::write_text(folder / name, value.dump());
  };
  for (const auto& [name, value] : files) write(name, value);
  REQUIRE_NOTHROW(read_bert_config(folder.path()));
  const json values = json::parse(
      R"([null, true, 0, -1, 1.5, 1e308, 9223372036854775807, "", "x", [], [1], {}, {"a": 1}])");
  int refused = 0;
  const auto attempt = [&](const std::string& name, const json& changed) {
    write(name, changed);
    try {
      const std::int64_t limit = read_bert_config(folder.path()).max_tokens;
      CHECK(limit >= 3);
    } catch (const DataError&) {
      ++refused;
    }
  };
  for (const auto& [name, original] : files) {
    for (const json& value : values) {
      attempt(name, value);
      for (const auto& [key, unused] :
           original.is_array() ? original[1].items() : original.items()) {
        json changed = original;
        (original.is_array() ? changed[1] : changed)[key] = value;
        attempt(name, changed);
      }
    }
    write(name, original);
  }
  CHECK(refused > 100);
}
