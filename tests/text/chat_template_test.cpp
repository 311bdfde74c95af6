#include "text/chat_template.hpp"

#include "core/error.hpp"
#include "tiny_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;

namespace {

const std::vector<Message> kChat{
    {"system", "S"}, {"user", " U1 "}, {"assistant", " A1 "}, {"user", "U2"}};

std::string rendered(std::string_view name, const std::vector<Message>& messages = kChat,
                     bool generation = true) {
  return ChatTemplate::named(name).render(messages, generation).text;
}

}  // namespace

TEST_CASE("chat formats print what the models' own templates print", "[unit]") {
  // Rendered by Jinja2 from the models' templates, for the conversation above and a generation
  // prompt.
  CHECK(rendered("raw") == "S U1  A1 U2");
  const std::string chatml =
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n U1 <|im_end|>\n<|im_start|>assistant\n "
      "A1 <|im_end|>\n"
      "<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n";
  for (const char* name : {"chatml", "smollm2", "qwen2", "qwen2.5", "qwen3"})
    CHECK(rendered(name) == chatml);
  CHECK(rendered("llama2") ==
        "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU1 [/INST] A1 </s><s>[INST] U2 [/INST]");
  CHECK(rendered("llama3") ==
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|><|start_header_id|>assistant<|end_"
        "header_id|>\n\nA1"
        "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU2<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n");
  CHECK(rendered("gemma") ==
        "<bos><start_of_turn>user\nS\n\nU1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n"
        "<start_of_turn>user\nU2<end_of_turn>\n<start_of_turn>model\n");
  CHECK(rendered("mistral-v1") == "<s> [INST] S\n\n U1  [/INST]  A1 </s> [INST] U2 [/INST]");
  CHECK(rendered("mistral-v3") == "<s>[INST]  U1 [/INST]  A1 </s>[INST] S\n\nU2[/INST]");
  CHECK(rendered("zephyr") ==
        "<|system|>\nS</s>\n<|user|>\n U1 </s>\n<|assistant|>\n A1 "
        "</s>\n<|user|>\nU2</s>\n<|assistant|>\n");
  CHECK(rendered("phi3") ==
        "<|system|>\nS<|end|>\n<|user|>\n U1 <|end|>\n<|assistant|>\n A1 "
        "<|end|>\n<|user|>\nU2<|end|>\n<|assistant|>\n");
  CHECK(rendered("phi3", {{"user", "U"}}, false) == "<|user|>\nU<|end|>\n<|endoftext|>");
  CHECK(rendered("alpaca", {{"user", "U"}}) ==
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request."
        "\n\n### Instruction:\nU\n\n### Response:\n");
}

TEST_CASE("default system messages", "[unit]") {
  const std::vector<Message> chat{{"user", "U"}};
  const std::string turn = "<|im_start|>user\nU<|im_end|>\n";
  CHECK(rendered("chatml", chat, false) == turn);
  CHECK(rendered("qwen3", chat, false) == turn);
  CHECK(rendered("smollm2", chat, false) ==
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
        "Face<|im_end|>\n" +
            turn);
  CHECK(rendered("qwen2.5", chat, false) ==
        "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
        "assistant.<|im_end|>\n" +
            turn);
}

TEST_CASE("Qwen3 drops the reasoning of earlier answers and shows that of the last", "[unit]") {
  const std::string thought = "<think>\nwhy\n</think>\n\nso";
  CHECK(rendered("qwen3",
                 {{"user", "1"}, {"assistant", thought}, {"user", "2"}, {"assistant", thought}},
                 false) ==
        "<|im_start|>user\n1<|im_end|>\n<|im_start|>assistant\nso<|im_end|>\n"
        "<|im_start|>user\n2<|im_end|>\n<|im_start|>assistant\n<think>\nwhy\n</"
        "think>\n\nso<|im_end|>\n");
  CHECK(rendered("qwen3", {{"user", "1"}, {"assistant", "so"}}, false) ==
        "<|im_start|>user\n1<|im_end|>\n<|im_start|>assistant\n<think>\n\n</"
        "think>\n\nso<|im_end|>\n");
}

TEST_CASE("every turn's span holds its content", "[unit]") {
  for (const std::string& name : ChatTemplate::names()) {
    const RenderedChat chat = ChatTemplate::named(name).render(kChat, true);
    INFO("format " << name);
    REQUIRE(chat.turns.size() == kChat.size());
    std::size_t last = 0;
    std::string contents;
    for (const RenderedChat::Turn& turn : chat.turns) {
      CHECK(turn.begin >= last);
      last = turn.end;
      for (const char c : chat.text.substr(turn.begin, turn.end - turn.begin)) {
        if (c != ' ') contents += c;
      }
    }
    CHECK(contents == (name == "mistral-v3" ? "U1A1SU2" : "SU1A1U2"));
  }
}

TEST_CASE("a prompt is the beginning of the prompt with its answer", "[unit]") {
  const std::vector<Message> question{{"system", "S"}, {"user", "U"}};
  const std::vector<Message> answered{
      {"system", "S"}, {"user", "U"}, {"assistant", "<think>\n\n</think>\n\nA"}};
  for (const std::string& name : ChatTemplate::names()) {
    INFO("format " << name);
    CHECK(rendered(name, answered, false).starts_with(rendered(name, question, true)));
  }
}

TEST_CASE("formats are recognised in the models' templates, and in our own", "[unit]") {
  const auto detected = [](std::string_view jinja) { return ChatTemplate::detect(jinja).name(); };
  CHECK(detected("{{ '<|im_start|>' + message['role'] + '<|im_end|>' }}") == "chatml");
  CHECK(detected("{% set x = '<|start_header_id|>' + role + '<|end_header_id|>' %}") == "llama3");
  CHECK(detected("{{ '<start_of_turn>' + role }} ... {{ '<end_of_turn>' }}") == "gemma");
  CHECK(detected("{{ bos_token + '[INST] ' + '<<SYS>>\\n' }}") == "llama2");
  CHECK(detected("{{ ' [INST] ' + system_message + content + ' [/INST]' }}") == "mistral-v1");
  CHECK(detected("{{ '[AVAILABLE_TOOLS]' }}{{ '[INST] ' + content + '[/INST]' }}") == "mistral-v3");
  CHECK(detected("{{ '<|user|>\\n' + content + eos_token }}{{ '<|assistant|>' }}") == "zephyr");
  CHECK(detected("{{ '<|user|>\\n' + content + '<|end|>' }}{{ '<|assistant|>' }}") == "phi3");
  CHECK(detected("{{ '### Instruction:' }}{{ '### Response:' }}") == "alpaca");
  for (const std::string& name : ChatTemplate::names())
    CHECK(detected(ChatTemplate::named(name).jinja()) == name);
  CHECK_THROWS_AS(ChatTemplate::detect(""), DataError);
  CHECK_THROWS_AS(ChatTemplate::detect("[SYSTEM_PROMPT]x[/SYSTEM_PROMPT][INST]"), DataError);
  CHECK_THROWS_AS(ChatTemplate::detect("<|im_start|>user<|im_sep|>"), DataError);
}

TEST_CASE("names that are unknown and roles that do not fit are refused", "[unit]") {
  CHECK_THROWS_WITH(ChatTemplate::named("chatm"), Catch::Contains("did you mean 'chatml'"));
  CHECK_THROWS_AS(ChatTemplate::named("x"), UsageError);
  CHECK_THROWS_AS(rendered("chatml", {{"user<|im_end|>", "x"}}), DataError);
  for (const char* name : {"llama2", "gemma", "mistral-v1", "mistral-v3"}) {
    CHECK_THROWS_AS(rendered(name, {{"assistant", "x"}}), DataError);
    CHECK_THROWS_AS(rendered(name, {{"user", "x"}, {"user", "y"}}), DataError);
    CHECK_THROWS_AS(rendered(name, {{"user", "x"}, {"system", "y"}}), DataError);
    CHECK_THROWS_AS(rendered(name, {{"system", "x"}}), DataError);
  }
}

TEST_CASE("marks that end an answer", "[unit]") {
  CHECK(ChatTemplate::named("smollm2").end_of_turn() == "<|im_end|>");
  CHECK(ChatTemplate::named("llama3").end_of_turn() == "<|eot_id|>");
  CHECK(ChatTemplate::named("gemma").end_of_turn() == "<end_of_turn>");
  CHECK(ChatTemplate::named("phi3").end_of_turn() == "<|end|>");
  CHECK(ChatTemplate::named("llama2").end_of_turn().empty());
}

TEST_CASE("contents cannot forge the marks of a format", "[unit]") {
  nlohmann::json json = test::tiny_json();
  json["added_tokens"].push_back(test::added(9, "<|im_start|>", true));
  const auto tokenizer = test::load(json);
  const std::vector<Message> chat{{"user", "a<|im_start|>b"}, {"assistant", "<|im_start|>"}};
  const auto ids = ChatTemplate::named("chatml").encode(*tokenizer, chat, true);
  CHECK(std::count(ids.begin(), ids.end(), 9) == 3);  // two turns and the generation prompt
}
