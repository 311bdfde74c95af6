#pragma once
#include <span>
#include <string>
#include <string_view>

namespace plumb {

/// How one chat format writes a conversation. Text is given as it stands in the rendered prompt.
struct ChatFormat {
  struct Wrap {
    std::string_view before, after;
  };
  enum class System { own_turn, in_first_user_turn, in_last_user_turn };

  std::string_view name;
  std::string_view begin;                  // before everything
  Wrap system, user, assistant;            // around a content
  std::string_view generation;             // what the assistant's answer follows
  std::string_view end = "";               // after everything, unless an answer follows
  std::string_view end_of_turn = "";       // special token that ends an answer, unless it is EOS
  std::string_view default_system = "";    // put in when a conversation has no system message
  System system_place = System::own_turn;  // in a user turn: users and assistants must alternate
  bool trim = false;      // contents are stripped, but for a system text in a user turn
  bool thinking = false;  // Qwen3: reasoning of earlier answers is dropped
};

/// The table of all formats, ordered as `plumb list templates` shows them.
std::span<const ChatFormat> chat_formats();

/// Jinja text that renders a conversation as the format does; its first line names the format.
std::string chat_jinja(const ChatFormat& format);
/// What the first line of chat_jinja() says before the name.
inline constexpr std::string_view kJinjaMark = "{# plumb chat format: ";

}  // namespace plumb
