#include "service/token_count.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb::service {
namespace {

constexpr std::int64_t kBytesPerToken = 4;

std::int64_t count(const std::string& text, const Tokenizer* tokenizer) {
  return tokenizer == nullptr ? estimated_tokens(text)
                              : static_cast<std::int64_t>(tokenizer->encode(text).size());
}

/// The end of a text that holds at most `tokens` of them.
std::string last_tokens(const std::string& text, std::int64_t tokens, const Tokenizer* tokenizer) {
  if (tokens <= 0) return "";
  if (tokenizer != nullptr) {
    const std::vector<std::int32_t> ids = tokenizer->encode(text);
    const auto kept = std::min(ids.size(), static_cast<std::size_t>(tokens));
    std::string end = tokenizer->decode(std::span(ids).last(kept));
    while (!end.empty() && (static_cast<unsigned char>(end.front()) & 0xc0) == 0x80)
      end.erase(0, 1);
    return end;
  }
  std::size_t begin =
      text.size() - std::min(text.size(), static_cast<std::size_t>((tokens - 1) * kBytesPerToken));
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) ++begin;
  return text.substr(begin);
}

}  // namespace

std::int64_t estimated_tokens(std::string_view text) {
  return text.empty() ? 0 : 1 + static_cast<std::int64_t>(text.size()) / kBytesPerToken;
}

void estimate_cost(ScoreItem& item) {
  item.cost = estimated_tokens(item.sample.response);
  for (const Message& message : item.sample.messages)
    item.cost += estimated_tokens(message.content);
  item.cost = std::max<std::int64_t>(item.cost, 1);
}

void count_tokens(ScoreItem& item, const Tokenizer* tokenizer, std::int64_t max_length,
                  bool truncate) {
  const auto count_prompt = [&] {
    item.prompt_tokens = 0;
    for (const Message& message : item.sample.messages)
      item.prompt_tokens += count(message.content, tokenizer);
  };
  count_prompt();
  item.response_tokens = item.sample.response_ids.empty()
                             ? count(item.sample.response, tokenizer)
                             : static_cast<std::int64_t>(item.sample.response_ids.size());
  const std::int64_t length = item.prompt_tokens + item.response_tokens;
  if (max_length == 0 || length <= max_length || !item.error.empty()) return;
  if (!truncate || item.response_tokens > max_length) {
    item.error = cat(length, " tokens exceed serve.max_length = ", max_length,
                     truncate ? " even without the prompt" : "");
    item.error_status = 422;
    return;
  }
  std::int64_t excess = length - max_length;
  for (Message& message : item.sample.messages) {
    if (excess <= 0) break;
    const std::int64_t tokens = count(message.content, tokenizer);
    message.content = last_tokens(message.content, tokens - excess, tokenizer);
    excess -= tokens - count(message.content, tokenizer);
  }
  item.truncated = true;
  count_prompt();
}

}  // namespace plumb::service
