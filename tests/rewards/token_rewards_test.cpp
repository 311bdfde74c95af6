// Values, components and token rewards of the rewards made of log-probs, on random models.
#include <algorithm>
#include <cmath>

#include "rewards/cream.hpp"
#include "rewards/genarm.hpp"
#include "rewards/token_logprobs.hpp"
#include "rewards/token_scores.hpp"
#include "rewards/treg.hpp"
#include "tiny_language_model.hpp"

#include "support/catch.hpp"

using namespace plumb;
using plumb::test::component;
using plumb::test::tiny_model;

namespace {

std::vector<RewardSample> sampled_by(const LanguageModel& model) {
  RewardSample sample;
  sample.messages = {{"user", "Hello"}};
  sample.response = "abcdefgh";
  sample.response_ids = model.tokenizer->encode(sample.response);
  return {sample};
}

/// What a model and a base say of the sampled tokens.
struct Known {
  std::vector<float> arm, base, expected;
};
Known known(const LanguageModel& arm, const LanguageModel& base, const RewardSample& sample) {
  const auto chat = chat_of(arm, "auto");
  const std::vector items{continuation_of(arm, chat, sample.messages, sample)};
  const std::int64_t vocab = arm.decoder->config().vocab_size;
  return {token_logprobs(*arm.decoder, items, vocab, 4096)[0],
          token_logprobs(*base.decoder, items, vocab, 4096)[0],
          expected_logprobs(*base.decoder, *arm.decoder, items, vocab, 4096)[0]};
}

}  // namespace

TEST_CASE("genarm: every value and every kind of token reward", "[rewards][genarm][unit]") {
  const auto arm = tiny_model(1, "one"), base = tiny_model(2, "two");
  const auto samples = sampled_by(*arm);
  const Known of = known(*arm, *base, samples[0]);
  const double sum = sum_of(of.arm), tokens = static_cast<double>(of.arm.size());
  GenarmRewardOptions options;
  const auto scored = [&] { return GenarmReward(options, arm, base).score(samples).front(); };
  const Score plain = scored();
  CHECK(component(plain, "sum") == sum);
  CHECK(component(plain, "bt") == .05 * sum);
  CHECK(component(plain, "mean") == sum / tokens);
  CHECK(component(plain, "contrast") == sum - sum_of(of.base));
  CHECK(*plain.value == component(plain, "contrast"));
  const std::size_t size = samples[0].response_ids.size();
  const auto check_tokens = [&](const char* kind, std::vector<float> want) {
    INFO(kind);
    options.token_rewards = kind;
    want.resize(size);  // the end of the answer has no token of its own among the sampled ones
    auto got = scored().per_token;
    got.resize(size);
    CHECK(got == want);
  };
  check_tokens("logprob", of.arm);
  check_tokens("contrast", difference(of.arm, of.base));
  check_tokens("advantage", difference(of.arm, of.expected));
}

TEST_CASE("cream: ratio of each token, and mean of the ratio", "[rewards][cream][unit]") {
  const auto model = tiny_model(1, "one"), reference = tiny_model(2, "two");
  const auto samples = sampled_by(*model);
  const Known of = known(*model, *reference, samples[0]);
  CreamOptions options;
  options.norm = "mean";
  const Score score = CreamReward(options, model, reference).score(samples).front();
  CHECK(*score.value == (sum_of(of.arm) - sum_of(of.base)) / static_cast<double>(of.arm.size()));
  auto want = difference(of.arm, of.base), got = score.per_token;
  want.resize(samples[0].response_ids.size());
  got.resize(samples[0].response_ids.size());
  CHECK(got == want);
}

TEST_CASE("treg: mean and share of positive token rewards", "[rewards][treg][unit]") {
  const auto model = tiny_model(1, "one");
  const Score score = TregReward({}, model).score(sampled_by(*model)).front();
  const auto& rewards = score.per_token;
  REQUIRE(rewards.size() > 1);
  const auto tokens = static_cast<double>(rewards.size());
  REQUIRE(component(score, "tokens") == tokens);
  const auto positive =
      std::count_if(rewards.begin(), rewards.end(), [](float reward) { return reward > 0; });
  CHECK(component(score, "sum") == Approx(sum_of(rewards)));
  CHECK(*score.value == Approx(sum_of(rewards) / tokens));
  CHECK(component(score, "positive") == Approx(static_cast<double>(positive) / tokens));
}
