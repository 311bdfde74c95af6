#include <iostream>

#include "cli/command.hpp"
#include "cli/command_options.hpp"
#include "cli/json_lines.hpp"
#include "core/error.hpp"
#include "model/checkpoint.hpp"
#include "pipeline/model_setup.hpp"

namespace plumb::cli {
namespace {

/// The ids of one line: text, {"text"}, or {"messages"} (rendered with the place for an answer).
std::vector<std::int32_t> encode_line(const std::string& line, std::int64_t number, bool plain,
                                      const Tokenizer& tokenizer, const ChatTemplate& chat) {
  const bool may_be_json = !plain && !line.empty() && line.front() == '{';
  if (!may_be_json) return tokenizer.encode(line);
  const nlohmann::json object = parse_object(line, number);
  if (const auto text = object.find("text"); text != object.end() && text->is_string())
    return tokenizer.encode(text->get<std::string>());
  if (const auto messages = object.find("messages"); messages != object.end())
    return chat.encode(tokenizer, read_messages(*messages, number), true);
  throw DataError(
      cat("standard input, line ", number,
          ": expected {\"text\": ...} or {\"messages\": ...}; --plain takes lines as text"));
}

}  // namespace

int tokenize_command(const Arguments& arguments) {
  const auto options = read_options<TokenizeOptions>(arguments);
  if (options.model.empty())
    throw UsageError("--model is not set: give a model whose tokenizer to use");
  const Checkpoint checkpoint = load_checkpoint(options.model);
  const Tokenizer& tokenizer = *checkpoint.tokenizer;
  const ChatTemplate chat =
      choose_chat_template(options.chat_template, checkpoint.chat_template_jinja);
  InputLines lines(std::cin);
  std::string line;
  while (lines.next(line)) {
    const std::vector<std::int32_t> ids =
        encode_line(line, lines.number(), options.plain, tokenizer, chat);
    nlohmann::json pieces = nlohmann::json::array();
    for (const std::int32_t id : ids) pieces.push_back(tokenizer.piece(id));
    std::cout << to_line({{"ids", ids}, {"pieces", pieces}});
  }
  return 0;
}

}  // namespace plumb::cli
