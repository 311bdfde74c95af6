#include "rewards/language_model.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "model/checkpoint.hpp"

namespace plumb {
namespace {

namespace fs = std::filesystem;

bool reads_as(const Tokenizer& tokenizer, std::span<const std::int32_t> ids,
              const std::string& text) {
  const bool known = std::all_of(ids.begin(), ids.end(),
                                 [&](auto id) { return id >= 0 && id < tokenizer.vocab_size(); });
  return known && to_valid_utf8(tokenizer.decode(ids, true)) == to_valid_utf8(text);
}

std::vector<std::int32_t> end_of_turn(const Tokenizer& tokenizer, const ChatTemplate& chat) {
  if (const std::string mark = chat.end_of_turn(); !mark.empty()) {
    return tokenizer.encode_template(mark, {});
  }
  if (const auto eos = tokenizer.eos()) return {*eos};
  return {};
}

void check_size(const Continuation& tokens, std::int64_t context) {
  if (tokens.response.empty()) throw DataError("the response has no tokens");
  if (tokens.prompt.empty()) throw DataError("the prompt has no tokens");
  const std::size_t size = tokens.prompt.size() + tokens.response.size();
  if (size > static_cast<std::size_t>(context)) {
    throw DataError(cat("prompt (", tokens.prompt.size(), " tokens) and response (",
                        tokens.response.size(), ") exceed the reward model's context of ",
                        context));
  }
}

}  // namespace

std::shared_ptr<const LanguageModel> load_language_model(const fs::path& model,
                                                         kernels::Precision precision,
                                                         at::Device device) {
  Checkpoint checkpoint = load_checkpoint(model.string());
  LanguageModel loaded;
  loaded.decoder =
      std::make_shared<Decoder>(checkpoint.config, checkpoint.weights, precision, false, device);
  loaded.tokenizer = checkpoint.tokenizer;
  loaded.chat_template_jinja = checkpoint.chat_template_jinja;
  loaded.content_hash = hash_of_weights(model);
  return std::make_shared<LanguageModel>(std::move(loaded));
}

ChatTemplate chat_of(const LanguageModel& model, const std::string& name) {
  if (name != "auto") return ChatTemplate::named(name);
  return model.chat ? *model.chat : ChatTemplate::detect(model.chat_template_jinja);
}

std::vector<std::string> chat_choices() {
  std::vector<std::string> names = ChatTemplate::names();
  names.insert(names.begin(), "auto");
  return names;
}

Continuation continuation_of(const LanguageModel& model, const ChatTemplate& chat,
                             std::span<const Message> messages, const RewardSample& sample) {
  const Tokenizer& tokenizer = *model.tokenizer;
  Continuation tokens;
  tokens.prompt = chat.encode(tokenizer, messages, true);
  tokens.sampled_ids =
      !sample.response_ids.empty() && reads_as(tokenizer, sample.response_ids, sample.response);
  if (tokens.sampled_ids) {
    tokens.response = sample.response_ids;
  } else {
    tokens.response = tokenizer.encode(sample.response);
    if (sample.finished) {
      const std::vector<std::int32_t> end = end_of_turn(tokenizer, chat);
      tokens.response.insert(tokens.response.end(), end.begin(), end.end());
    }
  }
  check_size(tokens, model.decoder->config().max_position_embeddings);
  return tokens;
}

}  // namespace plumb
