#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "service/dialect.hpp"

/// How the texts of the dialects become samples, and the values that are read from their scores.
namespace plumb::service {

/// A question and its answer.
ScoreItem item_from_pair(std::string prompt, std::string response);
/// Prompt and response in one text: split at the marks of a chat format, or after `prompt` if the
/// text begins with it. A plain text is all response.
ScoreItem item_from_text(const std::string& text, const std::optional<std::string>& prompt = {});
/// The last message is the response if the assistant wrote it.
ScoreItem item_from_messages(std::vector<Message> messages);
/// Token ids of prompt and response. Throws Problem 400 without a tokenizer.
ScoreItem item_from_ids(const Call& call, const nlohmann::json& ids, const std::string& name);
/// string, [string], [int] or [[int]].
std::vector<ScoreItem> items_from_input(const Call& call, const nlohmann::json& input,
                                        const std::string& name);

/// The modules that a client's `model` means: none for null, the service's own name or the first
/// module. Throws Problem 404.
std::vector<std::string> modules_of_model(const Call& call);
/// The policy's name, or the client's own for it: none or one of the service's. Throws Problem 404
/// for a `model` that is something else.
std::string policy_model(const Call& call);
/// The model name that a reply states.
std::string reply_model(const Call& call);

/// A module's value of an item. Throws Problem with the item's number and reason.
double value_of(const ScoreJob& job, std::size_t item, std::size_t module = 0);
double sigmoid(double value);
/// A list of numbers, or with `encoding_format` = base64 the text of its little-endian float32.
OrderedJson encoded_numbers(const nlohmann::json& body, const std::vector<double>& values);
/// The service's tokenizer. Throws Problem 400 if there is none.
const Tokenizer& need_tokenizer(const Call& call, const std::string& name);

std::int64_t prompt_tokens(const ScoreJob& job);
/// {prompt_tokens, total_tokens, completion_tokens, prompt_tokens_details}
OrderedJson usage_of(const ScoreJob& job);

}  // namespace plumb::service
