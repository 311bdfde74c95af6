#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.hpp"

namespace plumb {

struct Message {
  std::string role;  // "system", "user", "assistant"
  std::string content;
};

/// A rendered chat and which bytes of it are contents (never special tokens).
struct RenderedChat {
  std::string text;
  struct Turn {
    std::string role;
    std::size_t begin, end;  // bytes of the content in `text`
  };
  std::vector<Turn> turns;  // one a message, in the order of the text
};

/// A named chat format. Values are cheap to copy; the table of all formats is in
/// chat_template_formats.cpp.
class ChatTemplate {
 public:
  /// One of `names()`: raw, chatml, smollm2, qwen2, qwen2.5, qwen3, llama2, llama3, gemma,
  /// mistral-v1, mistral-v3, zephyr, phi3, alpaca. Throws UsageError with the nearest name.
  static ChatTemplate named(std::string_view name);
  /// The format whose marks stand in a model's own Jinja template. Throws DataError naming the
  /// choices if none fits.
  static ChatTemplate detect(std::string_view jinja);
  static std::vector<std::string> names();

  const std::string& name() const { return name_; }
  /// Text and content spans. With `generation_prompt` it ends where the assistant's answer begins.
  /// Throws DataError if the roles do not fit the format.
  RenderedChat render(std::span<const Message> messages, bool generation_prompt) const;
  /// Ids of render(): special tokens of the format become ids, those inside of contents do not.
  std::vector<std::int32_t> encode(const Tokenizer& tokenizer, std::span<const Message> messages,
                                   bool generation_prompt) const;
  /// Text that ends an assistant's turn in this format, e.g. "<|im_end|>"; empty if only EOS does.
  std::string end_of_turn() const;
  /// A Jinja text that renders the same, to be stored beside saved models.
  std::string jinja() const;

 private:
  explicit ChatTemplate(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

}  // namespace plumb
