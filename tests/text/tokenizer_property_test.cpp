#include <atomic>
#include <random>
#include <thread>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "shared_tokenizers.hpp"
#include "text/tokenizer_vocabulary.hpp"
#include "text/unicode.hpp"
#include "tiny_tokenizer.hpp"

#include "support/catch.hpp"

using namespace plumb;
using test::Ids;

namespace {

class RandomText {
 public:
  std::string unicode(std::size_t most) {
    std::string text;
    for (std::size_t length = below(most); length > 0; --length) {
      constexpr char32_t kLimits[] = {0x80, 0x250, 0x3000, 0xD800, 0x1FB00};
      text += below(8) == 0 ? special() : encoded(static_cast<char32_t>(below(kLimits[below(5)])));
    }
    return text;
  }
  std::string bytes(std::size_t most) {
    std::string text;
    for (std::size_t length = below(most); length > 0; --length)
      text += static_cast<char>(below(256));
    return text;
  }
  std::string special() {
    constexpr const char* kTexts[] = {"<|im_start|>",
                                      "<|im_end|>",
                                      "<|endoftext|>",
                                      "<repo_name>",
                                      "<|im_",
                                      "start|>",
                                      "<",
                                      "|>",
                                      " ",
                                      "\n"};
    return kTexts[below(10)];
  }
  std::size_t below(std::size_t limit) { return random_() % limit; }

 private:
  static std::string encoded(char32_t c) {
    std::string out;
    unicode::append(out, c);
    return out;
  }
  std::mt19937 random_{20260102};
};

/// What a vocabulary without some bytes can say of a text: SmolLM2's lacks six control characters
/// and those bytes that UTF-8 hardly or never uses. The reference library leaves them out, too.
std::string sayable(const Tokenizer& tokenizer, std::string_view text) {
  std::string out;
  for (const char byte : to_valid_utf8(text)) {
    if (tokenizer.find(byte_characters::from_bytes(std::string(1, byte)))) out += byte;
  }
  return out;
}

bool any_special(const Tokenizer& tokenizer, const Ids& ids) {
  return std::any_of(ids.begin(), ids.end(),
                     [&](std::int32_t id) { return tokenizer.is_special(id); });
}

}  // namespace

TEST_CASE("byte-level BPE gives every text back that its bytes can say, and never a special id",
          "[model]") {
  if (!test::have_models()) return;
  const Tokenizer& tokenizer = test::smollm2_tokenizer();
  RandomText random;
  for (int round = 0; round < 2000; ++round) {
    const std::string text = round % 2 == 0 ? random.unicode(60) : random.bytes(60);
    const Ids ids = tokenizer.encode(text);
    INFO("round " << round);
    CHECK(tokenizer.decode(ids) == sayable(tokenizer, text));
    CHECK_FALSE(any_special(tokenizer, ids));
    CHECK(tokenizer.decode(test::encode_with_specials(tokenizer, text)) ==
          sayable(tokenizer, text));
  }
}

TEST_CASE("protected spans keep specials out of any part of a text", "[model]") {
  if (!test::have_models()) return;
  const Tokenizer& tokenizer = test::smollm2_tokenizer();
  RandomText random;
  for (int round = 0; round < 1000; ++round) {
    const std::string content =
        random.unicode(20) + random.special() + random.special() + random.unicode(5);
    const std::string text = "<|im_start|>user\n" + content + "<|im_end|>\n";
    const Ids ids = tokenizer.encode_template(text, {{17, 17 + content.size()}});
    const auto specials =
        std::count_if(ids.begin(), ids.end(), [&](auto id) { return tokenizer.is_special(id); });
    CHECK(specials == 2);
    CHECK(ids.front() == 1);
    CHECK(tokenizer.decode(ids) == sayable(tokenizer, text));
  }
}

TEST_CASE("a stream of ids decodes to growing complete text", "[model]") {
  if (!test::have_models()) return;
  const Tokenizer& tokenizer = test::smollm2_tokenizer();
  const std::string text = "日本語 \U0001F469\u200D\U0001F680 mañana";
  const Ids ids = tokenizer.encode(text);
  std::string shown;
  for (std::size_t count = 1; count <= ids.size(); ++count) {
    const std::string bytes = tokenizer.decode(std::span(ids).first(count));
    const std::string complete = bytes.substr(0, complete_utf8_prefix(bytes));
    CHECK(complete.starts_with(shown));
    CHECK(is_valid_utf8(complete));
    shown = complete;
  }
  CHECK(shown == text);
}

TEST_CASE("a megabyte of one character is encoded and decoded", "[model]") {
  if (!test::have_models()) return;
  for (const char c : {'a', ' ', '\n', '1', '!'}) {
    const std::string text(1 << 20, c);
    const Ids ids = test::smollm2_tokenizer().encode(text);
    CHECK(test::smollm2_tokenizer().decode(ids) == text);
    CHECK(test::minilm_tokenizer().encode(text).size() <= text.size());
  }
}

TEST_CASE("ids outside of the vocabulary are refused", "[model]") {
  if (!test::have_models()) return;
  const Tokenizer& tokenizer = test::smollm2_tokenizer();
  CHECK(tokenizer.vocab_size() == 49152);
  CHECK(tokenizer.piece(0) == "<|endoftext|>");
  CHECK(tokenizer.find("Ġthe") == 260);
  CHECK_FALSE(tokenizer.find("no such piece"));
  CHECK_FALSE(tokenizer.is_special(49152));
  CHECK_FALSE(tokenizer.is_special(-1));
  CHECK_THROWS_AS(tokenizer.piece(49152), UsageError);
  CHECK_THROWS_AS(tokenizer.decode(Ids{1, -1}), UsageError);
}

TEST_CASE("threads share a tokenizer", "[unit]") {
  nlohmann::json json = test::tiny_json();
  json["normalizer"] = {{"type", "NFC"}};
  json["pre_tokenizer"] = {
      {"type", "Split"}, {"pattern", {{"Regex", "\\s+|[ab]{1,2}"}}}, {"behavior", "Isolated"}};
  const auto tokenizer = test::load(json);
  const std::string text = "abc cab  \u00E9 bcab" + std::string(2000, 'a');
  const Ids expected = tokenizer->encode(text);
  std::vector<std::jthread> threads;
  std::atomic<int> different = 0;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round)
        different += tokenizer->encode(text) == expected ? 0 : 1;
    });
  }
  threads.clear();
  CHECK(different == 0);
}
