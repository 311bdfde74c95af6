#include "shared_tokenizers.hpp"
#include "text/chat_template.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Ids = std::vector<std::int32_t>;

TEST_CASE("SmolLM2's ids and decoded texts equal the reference library's", "[golden][model]") {
  if (!test::have_models()) return;
  const Tokenizer& tokenizer = test::smollm2_tokenizer();
  const nlohmann::json rows = test::golden("tokenizers.json").at("smollm2");
  REQUIRE(rows.size() >= 100);
  for (const auto& row : rows) {
    const std::string text = row.at("text");
    INFO("text: " << row.at("text").dump());
    const Ids ids = test::encode_with_specials(tokenizer, text);
    CHECK(ids == row.at("ids").get<Ids>());
    // Conversions that drop a step of the tokenizer: other ids, on purpose not ours.
    for (const char* other : {"ids_transformers_gguf", "ids_llama_cpp"}) {
      if (row.contains(other)) CHECK(ids != row.at(other).get<Ids>());
    }
    CHECK(tokenizer.encode(text) == row.at("ids_no_special").get<Ids>());
    CHECK(tokenizer.decode(ids) == row.at("decoded").get<std::string>());
    CHECK(tokenizer.decode(ids, true) == row.at("decoded_skip_special").get<std::string>());
    for (std::size_t i = 0; i < row.at("tokens").size(); ++i) {
      CHECK(tokenizer.piece(ids[i]) == row.at("tokens")[i].get<std::string>());
    }
  }
}

TEST_CASE("MiniLM's ids and decoded texts equal the reference library's", "[golden][model]") {
  if (!test::have_models()) return;
  const Tokenizer& tokenizer = test::minilm_tokenizer();
  const nlohmann::json rows = test::golden("tokenizers.json").at("minilm");
  REQUIRE(rows.size() >= 100);
  for (const auto& row : rows) {
    const std::string text = row.at("text");
    INFO("text: " << row.at("text").dump());
    CHECK(test::encode_with_specials(tokenizer, text) == row.at("ids_bare").get<Ids>());
    CHECK(encode_for_encoder(tokenizer, text, 100000) == row.at("ids_no_special").get<Ids>());
    CHECK(tokenizer.decode(row.at("ids").get<Ids>(), true) == row.at("decoded").get<std::string>());
    Ids whole = row.at("ids_bare").get<Ids>();
    whole.insert(whole.begin(), tokenizer.bos().value());
    whole.push_back(tokenizer.eos().value());
    CHECK(row.at("ids").get<Ids>() == whole);
    for (std::size_t i = 0; i < row.at("tokens").size(); ++i) {
      CHECK(tokenizer.piece(whole[i]) == row.at("tokens")[i].get<std::string>());
    }
  }
}

TEST_CASE("chat prompts of SmolLM2 equal those of its Jinja template", "[golden][model]") {
  if (!test::have_models()) return;
  const Tokenizer& tokenizer = test::smollm2_tokenizer();
  const nlohmann::json golden = test::golden("chat_templates.json");
  const ChatTemplate chat = ChatTemplate::detect(golden.at("template").get<std::string>());
  CHECK(chat.name() == "smollm2");
  int with_special_contents = 0;
  for (const auto& row : golden.at("chats")) {
    std::vector<Message> messages;
    bool special_contents = false;
    for (const auto& message : row.at("messages")) {
      messages.push_back({message.at("role"), message.at("content")});
      special_contents =
          special_contents || messages.back().content.find("<|im_") != std::string::npos;
    }
    with_special_contents += special_contents ? 1 : 0;
    for (const bool generation : {false, true}) {
      const auto& expected = row.at(generation ? "generation_prompt" : "plain");
      INFO("messages: " << row.at("messages").dump());
      const RenderedChat rendered = chat.render(messages, generation);
      CHECK(rendered.text == expected.at("text").get<std::string>());
      CHECK(test::encode_with_specials(tokenizer, rendered.text) == expected.at("ids").get<Ids>());
      const bool same =
          chat.encode(tokenizer, messages, generation) == expected.at("ids").get<Ids>();
      CHECK(same == !special_contents);
    }
  }
  CHECK(with_special_contents == 1);
}
