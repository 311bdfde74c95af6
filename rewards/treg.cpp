#include "rewards/treg.hpp"

#include <algorithm>
#include <utility>

#include "core/error.hpp"
#include "rewards/context.hpp"
#include "rewards/continuation_scores.hpp"
#include "rewards/response_text.hpp"
#include "rewards/token_logprobs.hpp"
#include "rewards/token_scores.hpp"

namespace plumb {
namespace {

/// The conversation with its last user turn replaced by a filled-in form.
std::vector<Message> revised(const RewardSample& sample, const std::string& form) {
  std::vector<Message> messages = sample.messages;
  const auto last = std::find_if(messages.rbegin(), messages.rend(),
                                 [](const Message& m) { return m.role == "user"; });
  if (last == messages.rend()) throw DataError("the prompt has no user turn");
  last->content = filled_in(form, last->content, std::string(readable_response(sample.response)));
  return messages;
}

}  // namespace

std::string filled_in(const std::string& form, const std::string& instruction,
                      const std::string& response) {
  const std::pair<std::string_view, std::string_view> parts[] = {
      {"{instruction}", instruction}, {"{response}", response}, {"\\n", "\n"}};
  std::string out;
  for (std::string_view rest = form; !rest.empty();) {
    const auto part = std::find_if(std::begin(parts), std::end(parts),
                                   [&](const auto& p) { return rest.starts_with(p.first); });
    if (part == std::end(parts)) {
      out += rest[0];
      rest.remove_prefix(1);
    } else {
      out += part->second;
      rest.remove_prefix(part->first.size());
    }
  }
  return out;
}

RewardInfo TregReward::about() {
  return {"treg", "ratio", "arXiv 2412.02685",
          "token rewards from a better and a worse revision prompt"};
}

std::unique_ptr<TregReward> TregReward::make(const Options& options, RewardContext& context) {
  if (options.better == options.worse) {
    throw UsageError("treg.better and treg.worse are the same text");
  }
  return std::make_unique<TregReward>(options, context.language_model(options.model, "treg.model"));
}

TregReward::TregReward(Options options, std::shared_ptr<const LanguageModel> model)
    : options_(std::move(options)),
      model_(std::move(model)),
      chat_(chat_of(*model_, options_.chat)) {}

std::vector<Score> TregReward::score(std::span<const RewardSample> samples) const {
  std::vector<Continuation> worse_items;
  Prepared prepared = prepare_continuations(samples, [&](const RewardSample& sample) {
    Continuation better = continuation_of(*model_, chat_, revised(sample, options_.better), sample);
    worse_items.push_back(continuation_of(*model_, chat_, revised(sample, options_.worse), sample));
    return better;
  });
  const std::int64_t vocab = model_->decoder->config().vocab_size;
  const TokenValues better =
      token_logprobs(*model_->decoder, prepared.continuations, vocab, options_.batch_tokens);
  const TokenValues worse =
      token_logprobs(*model_->decoder, worse_items, vocab, options_.batch_tokens);
  for (std::size_t i = 0; i < better.size(); ++i) {
    std::vector<float> rewards(better[i].size());
    std::transform(better[i].begin(), better[i].end(), worse[i].begin(), rewards.begin(),
                   [](float b, float w) { return static_cast<float>(contrastive_reward(b, w)); });
    const double sum = sum_of(rewards), tokens = static_cast<double>(rewards.size());
    const auto positive =
        std::count_if(rewards.begin(), rewards.end(), [](float r) { return r > 0; });
    Score& score = prepared.scores[prepared.sample_of[i]];
    score.value = score.raw = sum / tokens;
    score.components = {
        {"sum", sum}, {"positive", static_cast<double>(positive) / tokens}, {"tokens", tokens}};
    set_token_rewards(score, prepared.continuations[i], std::move(rewards));
  }
  return std::move(prepared.scores);
}

}  // namespace plumb
