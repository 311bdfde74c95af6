#include "rewards/kind_vote.hpp"

#include <utility>

#include "core/error.hpp"
#include "core/strings.hpp"
#include "rewards/token_logprobs.hpp"
#include "rewards/token_scores.hpp"

namespace plumb {
namespace {

constexpr std::int64_t kBatchTokens = 4096;

double mean_of(const std::vector<float>& values) {
  return sum_of(values) / static_cast<double>(values.size());
}

}  // namespace

KindVote::KindVote(std::shared_ptr<const LanguageModel> model, KindVoteOptions options)
    : model_(std::move(model)),
      options_(std::move(options)),
      chat_(chat_of(*model_, options_.chat)) {
  const auto& words = options_.words;
  if (words.size() != 2 || words[0] == words[1] || words[0].empty() || words[1].empty()) {
    throw UsageError(cat("qtype_words = ", join(words, ", "),
                         ": expected two different words, for open and for constrained"));
  }
  if (!options_.calibrate) return;
  const std::vector<std::string> content_free{"N/A"};
  const auto bias = raw_log_odds(content_free).front();
  if (!bias) throw DataError("qtype_instruction exceeds the context of qtype_model");
  bias_ = *bias;
}

std::vector<std::optional<double>> KindVote::log_odds(std::span<const std::string> queries) const {
  auto values = raw_log_odds(queries);
  for (std::optional<double>& value : values) {
    if (value) *value -= bias_;
  }
  return values;
}

std::vector<std::optional<double>> KindVote::raw_log_odds(
    std::span<const std::string> queries) const {
  const Tokenizer& tokenizer = *model_->tokenizer;
  const std::vector<std::int32_t> open = tokenizer.encode(options_.words[0]);
  const std::vector<std::int32_t> constrained = tokenizer.encode(options_.words[1]);
  const auto context = static_cast<std::size_t>(model_->decoder->config().max_position_embeddings);
  std::vector<std::optional<double>> odds(queries.size());
  std::vector<Continuation> answers;
  std::vector<std::size_t> query_of;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const std::vector<Message> turn{{"user", cat(queries[i], "\n\n", options_.instruction)}};
    const std::vector<std::int32_t> prompt = chat_.encode(tokenizer, turn, true);
    if (prompt.size() + std::max(open.size(), constrained.size()) > context) continue;
    answers.push_back({prompt, open});
    answers.push_back({prompt, constrained});
    query_of.push_back(i);
  }
  const TokenValues logprobs =
      token_logprobs(*model_->decoder, answers, model_->decoder->config().vocab_size, kBatchTokens);
  for (std::size_t i = 0; i < query_of.size(); ++i) {
    odds[query_of[i]] = mean_of(logprobs[2 * i + 1]) - mean_of(logprobs[2 * i]);
  }
  return odds;
}

}  // namespace plumb
