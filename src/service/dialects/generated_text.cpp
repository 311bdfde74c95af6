#include "service/dialects/generated_text.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "core/strings.hpp"

namespace plumb::service {
namespace {

constexpr double kFloor = -9999.0;  // what OpenAI's clients know as "never"

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

double shown(double logprob) { return std::max(logprob, kFloor); }

OrderedJson top_of(const Tokenizer& tokenizer, const TokenLogprob& row,
                   const GenerationFields& fields) {
  OrderedJson out = OrderedJson::object();
  for (const auto& [id, logprob] : row.top)
    out[to_valid_utf8(token_text(tokenizer, id, fields.tokens_as_ids))] = shown(logprob);
  out[to_valid_utf8(token_text(tokenizer, row.id, fields.tokens_as_ids))] = shown(row.logprob);
  return out;
}

OrderedJson chat_token(const Tokenizer& tokenizer, std::int32_t id, double logprob, bool as_id) {
  const std::string bytes = tokenizer.decode(std::span(&id, 1));
  OrderedJson list = OrderedJson::array();
  for (const char c : bytes) list.push_back(static_cast<unsigned char>(c));
  return {{"token", token_text(tokenizer, id, as_id)},
          {"logprob", shown(logprob)},
          {"bytes", std::move(list)}};
}

/// Bytes at the text's end that may be the beginning of a stop text.
std::size_t partial_stop(std::string_view text, const std::vector<std::string>& stops) {
  std::size_t longest = 0;
  for (const std::string& stop : stops) {
    for (std::size_t size = std::min(stop.size(), text.size()); size > longest; --size) {
      if (text.ends_with(std::string_view(stop).substr(0, size))) longest = size;
    }
  }
  return longest;
}

}  // namespace

std::string response_text(const Tokenizer& tokenizer, const RolloutResponse& response,
                          const std::vector<std::string>& stops) {
  std::string text = tokenizer.decode(response.ids, true);
  if (response.finish == FinishReason::kStop) {
    std::size_t end = text.size();
    for (const std::string& stop : stops) {
      if (!stop.empty()) end = std::min(end, text.find(stop));
    }
    text.resize(std::min(end, text.size()));
  }
  return text;
}

std::string TextStream::grow(const RolloutResponse& response) {
  const std::string text = tokenizer_->decode(response.ids, true);
  const std::size_t whole = complete_utf8_prefix(text);
  const std::size_t safe = whole - partial_stop(std::string_view(text).substr(0, whole), *stops_);
  if (safe <= shown_) return "";
  std::string fresh = text.substr(shown_, safe - shown_);
  shown_ = safe;
  return fresh;
}

std::string TextStream::finish(const RolloutResponse& response) {
  const std::string text = response_text(*tokenizer_, response, *stops_);
  std::string rest = text.size() > shown_ ? text.substr(shown_) : "";
  shown_ = text.size();
  return rest;
}

std::string token_text(const Tokenizer& tokenizer, std::int32_t id, bool as_id) {
  return as_id ? cat("token_id:", id) : tokenizer.decode(std::span(&id, 1));
}

OrderedJson completion_logprobs(const Tokenizer& tokenizer, const std::vector<TokenLogprob>& rows,
                                const GenerationFields& fields, std::size_t& offset) {
  OrderedJson tokens = OrderedJson::array(), values = OrderedJson::array(),
              tops = OrderedJson::array(), offsets = OrderedJson::array();
  for (const TokenLogprob& row : rows) {
    const bool first = std::isnan(row.logprob);
    tokens.push_back(token_text(tokenizer, row.id, fields.tokens_as_ids));
    values.push_back(first ? OrderedJson(nullptr) : OrderedJson(shown(row.logprob)));
    tops.push_back(first || fields.top_logprobs == 0 ? OrderedJson(nullptr)
                                                     : top_of(tokenizer, row, fields));
    offsets.push_back(offset);
    offset += characters(tokenizer.decode(std::span(&row.id, 1)));
  }
  return {{"tokens", std::move(tokens)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

OrderedJson chat_logprobs(const Tokenizer& tokenizer, const std::vector<TokenLogprob>& rows,
                          const GenerationFields& fields) {
  OrderedJson content = OrderedJson::array();
  for (const TokenLogprob& row : rows) {
    OrderedJson entry = chat_token(tokenizer, row.id, row.logprob, fields.tokens_as_ids);
    OrderedJson top = OrderedJson::array();
    for (const auto& [id, logprob] : row.top)
      top.push_back(chat_token(tokenizer, id, logprob, fields.tokens_as_ids));
    entry["top_logprobs"] = std::move(top);
    content.push_back(std::move(entry));
  }
  return OrderedJson{{"content", std::move(content)}};
}

std::vector<TokenLogprob> response_logprobs(const RolloutResponse& response, std::size_t first) {
  std::vector<TokenLogprob> rows;
  for (std::size_t i = first; i < response.ids.size(); ++i) {
    TokenLogprob& row = rows.emplace_back();
    row.id = response.ids[i];
    row.logprob = response.logp_policy[i];
    if (i < response.top.size()) row.top.assign(response.top[i].begin(), response.top[i].end());
  }
  return rows;
}

}  // namespace plumb::service
