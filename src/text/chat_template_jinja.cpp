#include "core/error.hpp"
#include "text/chat_template_formats.hpp"

namespace plumb {
namespace {

/// A Jinja string literal.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else {
      if (c == '\'' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + "'";
}

std::string printed(const std::string& expression) { return "{{ " + expression + " }}"; }

std::string turn(ChatFormat::Wrap wrap, const std::string& content) {
  return printed(cat(quoted(wrap.before), " + ", content, " + ", quoted(wrap.after)));
}

std::string branch(std::string_view keyword, std::string_view role, const std::string& body) {
  return cat("{% ", keyword, " message['role'] == ", quoted(role), " %}", body);
}

const std::string kElseRaise =
    "{% else %}{{ raise_exception('expected role system, user or assistant') }}{% endif %}";

/// The content of an assistant's message, with Qwen3's treatment of reasoning.
std::string thinking_turn(const ChatFormat& format) {
  return "{% set content = message['content'] %}{% set reasoning = '' %}"
         "{% if '</think>' in content %}"
         "{% set reasoning = "
         "content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].strip('\\n') %}"
         "{% set content = content.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
         "{% if loop.index0 > last.user and (loop.last or reasoning) %}"
         "{% set content = '<think>\\n' + reasoning + '\\n</think>\\n\\n' + content.lstrip('\\n') "
         "%}{% endif %}" +
         turn(format.assistant, "content");
}

std::string own_turns(const ChatFormat& format) {
  const std::string content = format.trim ? "message['content'] | trim" : "message['content']";
  std::string out;
  if (format.thinking) {
    out +=
        "{% set last = namespace(user=messages | length) %}{% for message in messages %}"
        "{% if message['role'] == 'user' %}{% set last.user = loop.index0 %}{% endif %}{% endfor "
        "%}";
  }
  if (!format.default_system.empty()) {
    out += "{% if messages[0]['role'] != 'system' %}" +
           turn(format.system, quoted(format.default_system)) + "{% endif %}";
  }
  const std::string wrapped = "(" + content + ")";
  out += "{% for message in messages %}" + branch("if", "system", turn(format.system, wrapped)) +
         branch("elif", "user", turn(format.user, wrapped)) +
         branch("elif", "assistant",
                format.thinking ? thinking_turn(format) : turn(format.assistant, wrapped)) +
         kElseRaise + "{% endfor %}";
  return out;
}

std::string merged_system(const ChatFormat& format) {
  const std::string content = format.trim ? "(message['content'] | trim)" : "message['content']";
  const std::string place = format.system_place == ChatFormat::System::in_first_user_turn
                                ? "loop.first"
                                : "loop.index0 >= turns | length - 2";
  const std::string system = cat(quoted(format.system.before), " + messages[0]['content'] + ",
                                 quoted(format.system.after));
  return cat(
      "{% if messages[0]['role'] == 'system' %}{% if messages | length == 1 %}"
      "{{ raise_exception('a system message needs a user message after it') }}{% endif %}"
      "{% set system = ",
      system,
      " %}{% set turns = messages[1:] %}{% else %}{% set system = '' %}{% set turns = messages "
      "%}{% endif %}"
      "{% for message in turns %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
      "{{ raise_exception('users and assistants must alternate') }}{% endif %}",
      branch("if", "user", turn(format.user, cat("(system if ", place, " else '') + ", content))),
      branch("elif", "assistant", turn(format.assistant, content)), kElseRaise, "{% endfor %}");
}

}  // namespace

std::string chat_jinja(const ChatFormat& format) {
  std::string out = cat(kJinjaMark, format.name, " #}");
  if (!format.begin.empty()) out += printed(quoted(format.begin));
  out += format.system_place == ChatFormat::System::own_turn ? own_turns(format)
                                                             : merged_system(format);
  if (!format.generation.empty())
    out += "{% if add_generation_prompt %}" + printed(quoted(format.generation)) + "{% endif %}";
  if (!format.end.empty())
    out += "{% if not add_generation_prompt %}" + printed(quoted(format.end)) + "{% endif %}";
  return out;
}

}  // namespace plumb
