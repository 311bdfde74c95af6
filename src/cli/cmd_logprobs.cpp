#include <ATen/core/grad_mode.h>

#include <iostream>
#include <numeric>

#include "cli/command.hpp"
#include "cli/command_options.hpp"
#include "cli/json_lines.hpp"
#include "cli/loaded_model.hpp"
#include "core/error.hpp"

namespace plumb::cli {
namespace {

struct Item {
  std::vector<std::int32_t> prompt, response;
};

Item read_item(const std::string& line, std::int64_t number, const LoadedModel& model) {
  const nlohmann::json object = parse_object(line, number);
  const auto vocab = static_cast<std::int32_t>(model.config.vocab_size);
  if (object.contains("prompt_ids"))
    return {read_ids(object, "prompt_ids", vocab, number),
            read_ids(object, "response_ids", vocab, number)};
  const auto prompt = object.find("prompt"), response = object.find("response");
  if (prompt == object.end() || response == object.end() || !response->is_string()) {
    throw DataError(
        cat("standard input, line ", number,
            ": expected {\"prompt\", \"response\"} or {\"prompt_ids\", \"response_ids\"}"));
  }
  const std::vector<Message> messages =
      prompt->is_string() ? std::vector<Message>{{"user", prompt->get<std::string>()}}
                          : read_messages(*prompt, number);
  Item item{model.chat.encode(*model.tokenizer, messages, true),
            model.tokenizer->encode(response->get<std::string>())};
  if (item.prompt.empty() || item.response.empty())
    throw DataError(cat("standard input, line ", number, ": prompt or response has no token"));
  return item;
}

void print_batch(const LoadedModel& model, const std::vector<Item>& items) {
  RaggedBuilder builder;
  for (const Item& item : items)
    builder.want_logprobs(builder.add(item.response, builder.add(item.prompt)));
  const at::Device device = model.decoder->device();
  const TokenRows rows = builder.rows(device);
  const at::Tensor logps = model.decoder->token_stats(builder.batch(device), rows)
                               .logprobs.to(at::kCPU, at::kFloat)
                               .contiguous();
  const float* data = logps.const_data_ptr<float>();
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::vector<float> values(data + rows.offsets[i], data + rows.offsets[i + 1]);
    std::cout << to_line(
        {{"token_logprobs", values}, {"sum", std::accumulate(values.begin(), values.end(), 0.0)}});
  }
}

}  // namespace

int logprobs_command(const Arguments& arguments) {
  const auto options = read_options<LogprobsOptions>(arguments);
  const LoadedModel model =
      load_model(options.model, options.chat_template, options.dtype, options.device);
  const at::NoGradGuard no_grad;
  InputLines lines(std::cin);
  std::vector<Item> batch;
  std::int64_t tokens = 0;
  std::string line;
  while (lines.next(line)) {
    if (line.empty()) continue;
    Item item = read_item(line, lines.number(), model);
    const auto length = static_cast<std::int64_t>(item.prompt.size() + item.response.size());
    if (length > model.config.max_position_embeddings) {
      throw DataError(cat("standard input, line ", lines.number(), ": ", length,
                          " tokens exceed the model's context of ",
                          model.config.max_position_embeddings));
    }
    if (!batch.empty() && tokens + length > options.batch_tokens) {
      print_batch(model, batch);
      batch.clear();
      tokens = 0;
    }
    batch.push_back(std::move(item));
    tokens += length;
  }
  if (!batch.empty()) print_batch(model, batch);
  return 0;
}

}  // namespace plumb::cli
