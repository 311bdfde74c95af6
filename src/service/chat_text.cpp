#include "service/chat_text.hpp"

#include <array>

namespace plumb::service {
namespace {

/// A turn is `begin` role `middle` content `end`.
struct Marks {
  std::string_view begin, middle, end;
};

constexpr std::array<Marks, 5> kFormats{{
    {"<|im_start|>", "\n", "<|im_end|>"},
    {"<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"},
    {"<start_of_turn>", "\n", "<end_of_turn>"},
    {"<|", "|>\n", "<|end|>"},
    {"<|", "|>\n", "</s>"},
}};

bool is_role(std::string_view text) {
  return text == "system" || text == "user" || text == "assistant" || text == "model" ||
         text == "tool";
}

/// The place of the next turn's begin mark that a role follows, or npos.
std::size_t find_turn(std::string_view text, const Marks& marks, std::size_t from) {
  for (std::size_t at = text.find(marks.begin, from); at != std::string_view::npos;
       at = text.find(marks.begin, at + 1)) {
    const std::size_t role = at + marks.begin.size();
    const std::size_t middle = text.find(marks.middle, role);
    if (middle == std::string_view::npos) return std::string_view::npos;
    if (is_role(text.substr(role, middle - role))) return at;
  }
  return std::string_view::npos;
}

ReadChat read_as(std::string_view text, const Marks& marks) {
  ReadChat chat;
  for (std::size_t at = find_turn(text, marks, 0); at != std::string_view::npos;) {
    const std::size_t role = at + marks.begin.size();
    const std::size_t middle = text.find(marks.middle, role);
    const std::size_t content = middle + marks.middle.size();
    const std::size_t next = find_turn(text, marks, content);
    const std::string_view turn = text.substr(
        content, next == std::string_view::npos ? std::string_view::npos : next - content);
    const std::size_t end = turn.rfind(marks.end);
    const std::string_view name = text.substr(role, middle - role);
    chat.messages.push_back(
        {std::string(name == "model" ? "assistant" : name), std::string(turn.substr(0, end))});
    chat.last_is_open = end == std::string_view::npos;
    at = next;
  }
  return chat;
}

}  // namespace

ReadChat read_chat_text(std::string_view text) {
  for (const Marks& marks : kFormats) {
    if (text.find(marks.end) == std::string_view::npos) continue;
    ReadChat chat = read_as(text, marks);
    if (!chat.messages.empty()) return chat;
  }
  return {};
}

}  // namespace plumb::service
