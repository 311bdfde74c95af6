#include "rewards/response_text.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "text/unicode.hpp"
#include "text/words.hpp"

namespace plumb {
namespace {

struct RoleMarks {
  const char* format;
  const char* user;
  const char* assistant;
};

constexpr RoleMarks kRoleMarks[] = {
    {"alpaca", "### Instruction:", "### Response:"},
    {"chatml", "<|im_start|>user", "<|im_start|>assistant"},
    {"gemma", "<start_of_turn>user", "<start_of_turn>model"},
    {"human", "Human:", "Assistant:"},
    {"llama2", "[INST]", "[/INST]"},
    {"llama3", "<|start_header_id|>user", "<|start_header_id|>assistant"},
    {"vicuna", "USER:", "ASSISTANT:"},
    {"zephyr", "<|user|>", "<|assistant|>"},
};

constexpr std::string_view kNewlineOrSpace = "\n ";

std::string_view strip(std::string_view text, std::string_view characters) {
  const std::size_t begin = text.find_first_not_of(characters);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(characters) - begin + 1);
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (std::size_t at = text.find(from); at != std::string_view::npos; at = text.find(from)) {
    out += text.substr(0, at);
    out += to;
    text.remove_prefix(at + from.size());
  }
  return out += text;
}

std::string clean_turn(const std::string& content) {
  const std::string marked = replaced(replaced(content, "### Input:\n", " "), "</s>", "");
  return std::string(strip(replaced(marked, " : ", " "), "\n: "));
}

/// White space as Python's `\s` has it.
bool is_space(char32_t code_point) {
  return unicode::is_space(code_point) || (code_point >= 0x1C && code_point <= 0x1F);
}

std::string collapse_white_space(std::string_view text) {
  std::string out;
  bool pending = false;
  while (!text.empty()) {
    const unicode::CodePoint point = unicode::first(text);
    if (is_space(point.value)) {
      pending = !out.empty();
    } else {
      if (pending) out += ' ';
      pending = false;
      out += text.substr(0, point.size);
    }
    text.remove_prefix(point.size);
  }
  return out;
}

/// Whether the bytes are the beginning of one character.
bool is_cut_character(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  return lead >= 0xC2 && lead <= 0xF4 && to_valid_utf8(bytes) == "\xEF\xBF\xBD";
}

}  // namespace

std::string_view readable_response(std::string_view response) {
  const std::string_view readable = response.substr(0, valid_utf8_prefix(response));
  const std::string_view rest = response.substr(readable.size());
  if (!rest.empty() && !is_cut_character(rest)) throw DataError("response is not valid UTF-8");
  return readable;
}

std::vector<std::string> stop_format_names() {
  std::vector<std::string> names{"none"};
  for (const RoleMarks& marks : kRoleMarks) names.emplace_back(marks.format);
  return names;
}

std::vector<std::string> stop_texts(const std::string& format, std::span<const std::string> more) {
  std::vector<std::string> stops;
  for (const RoleMarks& marks : kRoleMarks) {
    if (marks.format != format) continue;
    stops.emplace_back(marks.user);
    stops.emplace_back(marks.assistant);
  }
  expects(!stops.empty() || format == "none", "a known stop format");
  stops.insert(stops.end(), more.begin(), more.end());
  stops.insert(stops.end(), {"\n\n\n\n", "\n\n--", "\n\n____"});
  return stops;
}

std::string_view cut_at_stop(std::string_view response, std::span<const std::string> stops) {
  const std::string_view text = strip(response, kNewlineOrSpace);
  std::size_t end = text.size();
  for (const std::string& stop : stops) end = std::min(end, text.find(stop));
  return strip(text.substr(0, end), kNewlineOrSpace);
}

std::string clean_query(std::span<const Message> messages) {
  std::string query;
  for (const Message& message : messages) {
    if (message.role == "user") query += clean_turn(message.content) + ' ';
  }
  return collapse_white_space(query);
}

std::vector<std::string> word_windows(const std::string& text, std::size_t size,
                                      const WordSize& tokens_of) {
  if (size == 0) return {text};
  std::vector<std::string> windows;
  const char* begin = nullptr;
  const char* end = nullptr;
  std::size_t filled = 0;
  for (const std::string_view word : wordpunct(text)) {
    const std::size_t tokens = tokens_of(word);
    if (begin != nullptr && filled + tokens > size) {
      windows.emplace_back(begin, end);
      begin = nullptr;
      filled = 0;
    }
    if (begin == nullptr) begin = word.data();
    end = word.data() + word.size();
    filled += tokens;
  }
  if (windows.empty()) return {text};
  windows.emplace_back(begin, end);
  return windows;
}

}  // namespace plumb
