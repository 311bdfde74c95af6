#include "model/checkpoint.hpp"

#include <ATen/ops/equal.h>

#include "core/error.hpp"
#include "core/files.hpp"
#include "core/hash.hpp"
#include "model/model_files.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// Byte-level vocabulary of the 256 byte pieces, one merge, and three specials: ids 0 .. 259.
GgufVocabulary byte_vocabulary() {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "smollm";
  for (const char* special : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    vocabulary.tokens.push_back(special);
    vocabulary.token_types.push_back(3);
  }
  // GPT-2's byte alphabet: printable bytes stand for themselves, the others for U+0100 onwards.
  int moved = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int code = printable ? byte : 256 + moved++;
    std::string piece;
    if (code < 0x80) {
      piece.push_back(static_cast<char>(code));
    } else {
      piece.push_back(static_cast<char>(0xc0 | code >> 6));
      piece.push_back(static_cast<char>(0x80 | (code & 0x3f)));
    }
    vocabulary.tokens.push_back(piece);
    vocabulary.token_types.push_back(1);
  }
  vocabulary.tokens.push_back("ab");
  vocabulary.token_types.push_back(1);
  vocabulary.merges = {"a b"};
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  return vocabulary;
}

Checkpoint tiny_checkpoint(const std::string& family = "llama", bool tied = true) {
  Checkpoint checkpoint;
  checkpoint.config = test::tiny_config(family);
  checkpoint.config.vocab_size = 260;
  checkpoint.config.tie_word_embeddings = tied;
  checkpoint.weights = test::random_weights(checkpoint.config);
  checkpoint.tokenizer = make_tokenizer(byte_vocabulary());
  checkpoint.chat_template_jinja = "{% for m in messages %}{{ m.content }}{% endfor %}";
  return checkpoint;
}

json read_json_text(const fs::path& file) { return json::parse(read_file(file)); }

}  // namespace

TEST_CASE("checkpoint: saved and loaded again", "[unit][model_files]") {
  const std::string family = GENERATE("llama", "mistral", "qwen2", "qwen3");
  const bool tied = GENERATE(true, false);
  const test::TempDir folder;
  Checkpoint checkpoint = tiny_checkpoint(family, tied);
  const auto dtype = tied ? at::kFloat : at::kBFloat16;
  const std::string hash = save_checkpoint(checkpoint, folder / "policy/iter-01", dtype);
  CHECK(hash == sha256_hex_of_file(folder / "policy/iter-01/model.safetensors"));
  const Checkpoint back = load_checkpoint((folder / "policy/iter-01").string());
  CHECK(back.source == folder / "policy/iter-01");
  CHECK(back.config.to_json("float32") == checkpoint.config.to_json("float32"));
  CHECK(back.chat_template_jinja == checkpoint.chat_template_jinja);
  REQUIRE(back.weights.size() == checkpoint.weights.size());
  for (const auto& [name, tensor] : checkpoint.weights) {
    INFO(name);
    CHECK(back.weights.at(name).scalar_type() == dtype);
    CHECK(at::equal(back.weights.at(name), tensor.to(dtype)));
  }
  const std::string text = "abba <|im_end|> caf\xc3\xa9";
  CHECK(back.tokenizer->encode(text) == checkpoint.tokenizer->encode(text));
  CHECK(back.tokenizer->vocab_size() == 260);
  std::size_t entries = 0;
  for (const auto& entry : fs::directory_iterator(folder / "policy")) entries += entry.exists();
  CHECK(entries == 1);  // no .iter-01.part is left
}

TEST_CASE("checkpoint: the head of a tied model is not stored, end ids are a list",
          "[unit][model_files]") {
  const test::TempDir folder;
  Checkpoint checkpoint = tiny_checkpoint();
  checkpoint.weights["lm_head.weight"] = checkpoint.weights["model.embed_tokens.weight"];
  save_checkpoint(checkpoint, folder / "m", at::kFloat);
  CHECK_FALSE(load_checkpoint((folder / "m").string()).weights.contains("lm_head.weight"));
  CHECK(read_json_text(folder / "m/generation_config.json")["eos_token_id"] == json({2, 5}));
}

TEST_CASE("checkpoint: saving replaces a whole folder", "[unit][model_files]") {
  const test::TempDir folder;
  Checkpoint checkpoint = tiny_checkpoint();
  const std::string first = save_checkpoint(checkpoint, folder / "m", at::kFloat);
  test::write_text(folder / "m/left_over.txt", "old");
  checkpoint.weights["model.norm.weight"] = at::randn({16});
  CHECK(save_checkpoint(checkpoint, folder.path() / "m/", at::kFloat) != first);
  CHECK_FALSE(fs::exists(folder / "m/left_over.txt"));
}

TEST_CASE("checkpoint: end ids of generation_config.json are added", "[unit][model_files]") {
  const test::TempDir folder;
  save_checkpoint(tiny_checkpoint(), folder / "m", at::kFloat);
  test::write_text(folder / "m/generation_config.json", R"({"eos_token_id": [7, 2]})");
  CHECK(load_checkpoint((folder / "m").string()).config.eos == std::vector<std::int32_t>{7, 2, 5});
}

TEST_CASE("checkpoint: chat template of tokenizer_config.json", "[unit][model_files]") {
  const test::TempDir folder;
  save_checkpoint(tiny_checkpoint(), folder / "m", at::kFloat);
  fs::remove(folder / "m/chat_template.jinja");
  json config = read_json_text(folder / "m/tokenizer_config.json");
  const auto loaded = [&] {
    test::write_text(folder / "m/tokenizer_config.json", config.dump());
    return load_checkpoint((folder / "m").string()).chat_template_jinja;
  };
  config["chat_template"] = "plain";
  CHECK(loaded() == "plain");
  config["chat_template"] = json::parse(
      R"([{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}])");
  CHECK(loaded() == "d");
  config.erase("chat_template");
  CHECK(loaded().empty());
}

TEST_CASE("checkpoint: what is wrong with a folder", "[unit][model_files]") {
  const test::TempDir folder;
  save_checkpoint(tiny_checkpoint(), folder / "m", at::kFloat);
  const auto load = [&] { return load_checkpoint((folder / "m").string()); };
  json config = read_json_text(folder / "m/config.json");
  config["num_hidden_layers"] = 3;
  test::write_text(folder / "m/config.json", config.dump());
  CHECK_THROWS_WITH(load(), Catch::Contains("9 missing: model.layers.2.input_layernorm.weight"));
  config["num_hidden_layers"] = 2;
  config["vocab_size"] = 259;
  test::write_text(folder / "m/config.json", config.dump());
  CHECK_THROWS_WITH(load(), Catch::Contains("[260, 16], expected [259, 16]"));
  fs::remove(folder / "m/config.json");
  CHECK_THROWS_WITH(load(), Catch::Contains("config.json is missing"));
}

TEST_CASE("checkpoint: a failed save leaves the old folder", "[unit][model_files]") {
  const test::TempDir folder;
  Checkpoint checkpoint = tiny_checkpoint();
  save_checkpoint(checkpoint, folder / "m", at::kFloat);
  checkpoint.config.rope_scaling.frequency_divisors = {1, 3};  // cannot be written to config.json
  CHECK_THROWS_AS(save_checkpoint(checkpoint, folder / "m", at::kFloat), DataError);
  CHECK_NOTHROW(load_checkpoint((folder / "m").string()));
  CHECK_FALSE(fs::exists(folder / ".m.part"));
}
