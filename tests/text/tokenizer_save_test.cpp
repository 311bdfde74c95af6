#include "core/files.hpp"
#include "shared_tokenizers.hpp"
#include "tiny_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::Ids;

namespace {

void check_same(const Tokenizer& left, const Tokenizer& right) {
  REQUIRE(left.vocab_size() == right.vocab_size());
  for (std::int32_t id = 0; id < left.vocab_size(); ++id) {
    if (left.piece(id) != right.piece(id) || left.is_special(id) != right.is_special(id)) {
      FAIL_CHECK("id " << id << ": " << left.piece(id) << " is not " << right.piece(id));
    }
  }
  CHECK(left.bos() == right.bos());
  CHECK(left.eos() == right.eos());
  CHECK(left.adds_bos() == right.adds_bos());
  const nlohmann::json golden = test::golden("tokenizers.json");
  for (const auto& row : golden.at("smollm2")) {
    const std::string text = row.at("text");
    INFO("text: " << row.at("text").dump());
    CHECK(left.encode_template(text, {}) == right.encode_template(text, {}));
    CHECK(left.encode(text) == right.encode(text));
  }
}

nlohmann::json parsed(const std::filesystem::path& file) {
  return nlohmann::json::parse(read_file(file));
}

}  // namespace

TEST_CASE("a tokenizer made from GGUF is saved as its model publishes it", "[model]") {
  if (!test::have_models()) return;
  const test::TempDir folder;
  test::smollm2_tokenizer().save(folder.path(), test::smollm2().chat_template);
  check_same(test::smollm2_tokenizer(), *load_tokenizer(folder.path()));

  const nlohmann::json tokenizer = parsed(folder / "tokenizer.json");
  const nlohmann::json steps = tokenizer.at("pre_tokenizer").at("pretokenizers");
  CHECK(tokenizer.at("pre_tokenizer").at("type") == "Sequence");
  CHECK(steps.at(0) == nlohmann::json{{"type", "Digits"}, {"individual_digits", true}});
  CHECK(steps.at(1).at("type") == "ByteLevel");
  CHECK(steps.at(1).at("add_prefix_space") == false);
  CHECK(steps.at(1).at("use_regex") == true);
  CHECK(tokenizer.at("decoder").at("type") == "ByteLevel");
  CHECK(tokenizer.at("added_tokens").size() == 17);
  CHECK(tokenizer.at("added_tokens").at(1).at("content") == "<|im_start|>");
  CHECK(tokenizer.at("added_tokens").at(1).at("special") == true);

  const nlohmann::json config = parsed(folder / "tokenizer_config.json");
  CHECK(config.at("eos_token") == "<|im_end|>");
  CHECK(config.at("chat_template") == test::smollm2().chat_template);
  CHECK(read_file(folder / "chat_template.jinja") == test::smollm2().chat_template);
}

TEST_CASE("a tokenizer loaded from a folder is saved file by file", "[model]") {
  if (!test::have_models()) return;
  const test::TempDir folder;
  test::minilm_tokenizer().save(folder / "deep/folder", "");
  const std::filesystem::path source = test::model_path("all-minilm-l6-v2");
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}) {
    CHECK(read_file(folder / "deep/folder" / name) == read_file(source / name));
  }
  CHECK_FALSE(std::filesystem::exists(folder / "deep/folder/chat_template.jinja"));
}

TEST_CASE("another chat template takes the place of the stored one", "[unit]") {
  const test::TempDir folder;
  test::load(test::tiny_json(), {{"chat_template", "old"}, {"eos_token", "<s>"}})
      ->save(folder.path(), "new \xFF");
  const nlohmann::json config = parsed(folder / "tokenizer_config.json");
  CHECK(config.at("chat_template") == "new \uFFFD");
  CHECK(config.at("eos_token") == "<s>");
  CHECK(load_tokenizer(folder.path())->eos() == 1);
}

TEST_CASE("families that GGUF names are saved with their own pattern", "[unit]") {
  GgufVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.tokens = {"<s>", "a", "b", "ab", "Ġ", "1", "2", "12",
                       "é",   "Ã", "©", "Ã©", "e", "Ì", "ģ"};
  vocabulary.token_types.assign(vocabulary.tokens.size(), 1);
  vocabulary.token_types[0] = 3;
  vocabulary.merges = {"a b", "1 2", "Ã ©"};
  vocabulary.bos = 0;
  const auto ids = [&](const char* pre, bool add_bos, std::string_view text) {
    vocabulary.pre = pre;
    vocabulary.add_bos = add_bos;
    const test::TempDir folder;
    const auto made = make_tokenizer(vocabulary);
    made->save(folder.path(), "");
    const auto loaded = load_tokenizer(folder.path());
    CHECK(loaded->encode(text) == made->encode(text));
    CHECK(loaded->adds_bos() == add_bos);
    return made->encode(text);
  };
  CHECK(ids("gpt-2", false, "12") == Ids{7});
  CHECK(ids("smollm", false, "12") == Ids{5, 6});
  CHECK(ids("qwen2", false, "12") == Ids{5, 6});
  CHECK(ids("llama-bpe", true, "12") == Ids{7});
  // "e" + U+0301 (CC 81) is composed to U+00E9 (C3 A9) by Qwen2's normalizer alone.
  CHECK(ids("qwen2", true, "e\u0301") == Ids{11});
  CHECK(ids("gpt-2", true, "e\u0301") == Ids{12, 13, 14});
}
