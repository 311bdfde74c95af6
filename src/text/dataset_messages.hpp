#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.hpp"

/// Chats as they stand in datasets, to messages. This is the one place that decides on roles and
/// turn order.
namespace plumb::dataset {

using Messages = std::vector<Message>;

/// A list of {role, content} or {from, value} objects. Contents are texts or
/// lists of text parts.
/// @param field  name of the row's field, for messages
/// Throws RowFault: wrong_type, missing_field, bad_role, unsupported_content.
Messages read_messages(const nlohmann::json& value, const std::string& field);

/// Throws RowFault unless the messages are a prompt: an optional system message, then user and
/// assistant in turn, the user last and not blank (empty_prompt, bad_turn_order).
void check_prompt(const Messages& messages);

/// Splits a whole conversation into the prompt and the final assistant message.
/// Throws RowFault: empty_prompt, bad_turn_order, empty_completion.
struct Conversation {
  Messages prompt;
  std::string completion;
};
Conversation split_conversation(Messages messages);

/// The turns of "\n\nHuman: ...\n\nAssistant: ..."; absent if the text does not begin like that.
/// One blank after a colon belongs to the mark. A final "Assistant:" without text gives an empty
/// message.
std::optional<Messages> read_transcript(std::string_view text);

}  // namespace plumb::dataset
