#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.hpp"

namespace plumb::service {

/// A chat read back from its rendered text.
struct ReadChat {
  std::vector<Message> messages;
  bool last_is_open = false;  // the last turn has no end mark
};

/// Splits a text at the marks of a known chat format (ChatML, Llama 3, Gemma, Zephyr, Phi-3). Empty
/// if it holds none: the text is plain.
ReadChat read_chat_text(std::string_view text);

}  // namespace plumb::service
