#include "service/chat_text.hpp"

#include "service/fake_models.hpp"
#include "service/token_count.hpp"

#include "support/catch.hpp"

using namespace plumb;
using namespace plumb::service;

TEST_CASE("a rendered chat reads back to the messages it was made of", "[service][unit]") {
  const std::vector<Message> messages{{"user", "Hi <there>\nsecond | line"},
                                      {"assistant", "Hello\n\nyou"},
                                      {"user", "Bye"},
                                      {"assistant", "See you"}};
  for (const char* name : {"chatml", "qwen2.5", "llama3", "gemma", "zephyr", "phi3"}) {
    INFO(name);
    const std::string text = ChatTemplate::named(name).render(messages, false).text;
    ReadChat chat = read_chat_text(text);
    if (chat.messages.size() == messages.size() + 1) chat.messages.erase(chat.messages.begin());
    REQUIRE(chat.messages.size() == messages.size());
    for (std::size_t i = 0; i < messages.size(); ++i) {
      CHECK(chat.messages[i].role == messages[i].role);
      CHECK(chat.messages[i].content == messages[i].content);
    }
    CHECK_FALSE(chat.last_is_open);
  }
}

TEST_CASE("a response that was cut has no end mark, and plain text is no chat", "[service][unit]") {
  const ReadChat cut =
      read_chat_text("<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nhalf an ans");
  REQUIRE(cut.messages.size() == 2);
  CHECK(cut.messages[1].content == "half an ans");
  CHECK(cut.last_is_open);
  CHECK(read_chat_text("What is 1 < 2 ?").messages.empty());
  CHECK(read_chat_text("<|im_start|>nobody\nQ<|im_end|>").messages.empty());
  CHECK(read_chat_text("").messages.empty());
}

TEST_CASE("an over-long text loses the prompt's beginning or is refused", "[service][unit]") {
  const test::ByteTokenizer tokenizer;
  const auto make = [] {
    ScoreItem item;
    item.sample.messages = {{"system", "0123456789"}, {"user", "abcdefghij"}};
    item.sample.response = "response";
    return item;
  };
  ScoreItem item = make();
  count_tokens(item, &tokenizer, 28, true);
  CHECK(item.prompt_tokens == 20);
  CHECK(item.response_tokens == 8);
  CHECK_FALSE(item.truncated);

  item = make();
  count_tokens(item, &tokenizer, 15, true);
  CHECK(item.truncated);
  CHECK(item.prompt_tokens == 7);
  CHECK(item.sample.messages[0].content.empty());
  CHECK(item.sample.messages[1].content == "defghij");
  CHECK(item.sample.response == "response");

  item = make();
  count_tokens(item, &tokenizer, 15, false);
  CHECK(item.error_status == 422);
  item = make();
  count_tokens(item, &tokenizer, 7, true);
  CHECK(item.error_status == 422);
}

TEST_CASE("a cut never splits a character", "[service][unit]") {
  const test::ByteTokenizer tokenizer;
  for (const Tokenizer* counter :
       {static_cast<const Tokenizer*>(nullptr), static_cast<const Tokenizer*>(&tokenizer)}) {
    for (std::int64_t limit = 2; limit < 40; ++limit) {
      ScoreItem item;
      item.sample.messages = {{"user", "äöü€𝄞äöü€𝄞äöü€𝄞"}};
      item.sample.response = "x";
      count_tokens(item, counter, limit, true);
      const std::string& left = item.sample.messages[0].content;
      CHECK((left.empty() || (static_cast<unsigned char>(left[0]) & 0xc0) != 0x80));
      CHECK(item.prompt_tokens + item.response_tokens <= limit);
    }
  }
}
