#include <cmath>
#include <memory>
#include <numeric>

#include "core/error.hpp"
#include "rewards/cream.hpp"
#include "rewards/genarm.hpp"
#include "rewards/registry.hpp"
#include "rewards/token_logprobs.hpp"
#include "rewards/treg.hpp"
#include "support/files.hpp"
#include "tiny_language_model.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinAbs;
using plumb::test::component;
using plumb::test::tiny_model;

namespace {

RewardContext& context() {
  static RewardContext shared(
      128, [](const std::string&) { return test::model_path("smollm2-135m-instruct"); });
  return shared;
}

std::shared_ptr<const LanguageModel> model() { return context().language_model("smollm2"); }

std::vector<RewardSample> samples() {
  std::vector<RewardSample> out(3);
  for (RewardSample& sample : out) sample.messages = {{"user", "What is the capital of France?"}};
  out[0].response = "The capital of France is Paris.";
  out[1].response = "Bananas bananas purple of.";
  out[2].response = "Paris";
  out[2].finished = false;
  return out;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing thrown";
}

}  // namespace

TEST_CASE("forms are filled in once", "[rewards][treg][unit]") {
  CHECK(filled_in("{instruction}\\n{response}!", "Say {response}", "a{instruction}\\n") ==
        "Say {response}\na{instruction}\\n!");
  CHECK(filled_in("{other} {instruction", "x", "y") == "{other} {instruction");
}

TEST_CASE("language rewards check their options", "[rewards][unit]") {
  RewardContext empty;
  OptionValues values;
  CHECK(message_of([&] { make_reward("genarm", values, empty); }).find("genarm.model") !=
        std::string::npos);
  values.set("genarm.model", "arm", "test");
  values.set("genarm.value", "contrast", "test");
  CHECK(message_of([&] { make_reward("genarm", values, empty); }).find("genarm.base") !=
        std::string::npos);
  values.set("treg.better", "same", "test");
  values.set("treg.worse", "same", "test");
  CHECK(message_of([&] { make_reward("treg", values, empty); }).find("same text") !=
        std::string::npos);
}

TEST_CASE("genarm: sums, means and a base equal to the model", "[rewards][genarm][model]") {
  const auto lone = GenarmReward({}, model(), nullptr).score(samples());
  for (const Score& score : lone) {
    REQUIRE(score.value);
    CHECK(*score.value == component(score, "mean"));
    CHECK_THAT(component(score, "sum"),
               WithinAbs(component(score, "mean") * component(score, "tokens"), 1e-9));
    CHECK_THAT(component(score, "bt"), WithinAbs(0.05 * component(score, "sum"), 1e-9));
    CHECK(score.per_token.empty());  // text that the policy did not sample
  }
  CHECK(*lone[0].value > *lone[1].value);
  const auto contrasted = GenarmReward({}, model(), model()).score(samples());
  for (const Score& score : contrasted) CHECK(*score.value == 0);
}

TEST_CASE("genarm: sampled ids give values of tokens, other ids the text's",
          "[rewards][genarm][model]") {
  auto sampled = samples();
  for (RewardSample& sample : sampled) {
    sample.response_ids = model()->tokenizer->encode(sample.response);
  }
  sampled[1].response_ids.back() = 1 << 20;
  const auto scores = GenarmReward({}, model(), nullptr).score(sampled);
  CHECK(scores[0].per_token.size() == sampled[0].response_ids.size());
  CHECK_THAT(std::accumulate(scores[0].per_token.begin(), scores[0].per_token.end(), 0.0),
             WithinAbs(component(scores[0], "sum"), 1e-5));
  CHECK(scores[1].per_token.empty());
  CHECK(scores[1].value);
}

TEST_CASE("genarm: advantages have mean zero under the base", "[rewards][genarm][model]") {
  const auto& decoder = *model()->decoder;
  auto sample = samples()[0];
  const auto chat = chat_of(*model(), "auto");
  const std::vector items{continuation_of(*model(), chat, sample.messages, sample)};
  const std::int64_t vocab = decoder.config().vocab_size;
  // Base = arm: the expected log-prob is minus the entropy of the next-token distribution.
  const auto expected = expected_logprobs(decoder, decoder, items, vocab, 4096);
  RaggedBuilder builder;
  const auto prompt = builder.add(items[0].prompt);
  builder.want_logprobs(builder.add(items[0].response, prompt));
  TokenStatsRequest request;
  request.entropy = true;
  const auto entropy = decoder.token_stats(builder.batch(), builder.rows(), request).entropy;
  REQUIRE(static_cast<std::size_t>(entropy.size(0)) == expected[0].size());
  for (std::size_t t = 0; t < expected[0].size(); ++t) {
    CHECK_THAT(expected[0][t],
               WithinAbs(-entropy[static_cast<std::int64_t>(t)].item<double>(), 1e-3));
  }
}

TEST_CASE("log-probs do not depend on the batch or on how the head is cut",
          "[rewards][genarm][model]") {
  const auto& decoder = *model()->decoder;
  const auto chat = chat_of(*model(), "auto");
  std::vector<Continuation> items;
  for (const RewardSample& sample : samples()) {
    items.push_back(continuation_of(*model(), chat, sample.messages, sample));
  }
  const std::int64_t vocab = decoder.config().vocab_size;
  const auto together = token_logprobs(decoder, items, vocab, 4096),
             apart = token_logprobs(decoder, items, vocab, 1);
  const auto cut = token_logprobs(decoder, items, vocab - 1, 4096);
  for (std::size_t i = 0; i < items.size(); ++i) {
    REQUIRE(together[i].size() == items[i].response.size());
    for (std::size_t t = 0; t < together[i].size(); ++t) {
      CHECK_THAT(together[i][t], WithinAbs(apart[i][t], 1e-4));
      CHECK_THAT(together[i][t], WithinAbs(cut[i][t], 1e-3));
    }
  }
}

TEST_CASE("bad samples get their own errors", "[rewards][genarm][model]") {
  auto bad = samples();
  bad[0].response = "";
  bad[0].finished = false;
  for (int i = 0; i < 12; ++i) bad[1].response += bad[1].response;
  const auto scores = GenarmReward({}, model(), nullptr).score(bad);
  CHECK(scores[0].error == "the response has no tokens");
  CHECK(scores[1].error.find("context") != std::string::npos);
  CHECK(scores[2].value);
}

TEST_CASE("treg: token rewards of sampled responses", "[rewards][treg][model]") {
  auto sampled = samples();
  for (RewardSample& sample : sampled) {
    sample.response_ids = model()->tokenizer->encode(sample.response);
  }
  const auto scores = TregReward({}, model()).score(sampled);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    REQUIRE(scores[i].value);
    REQUIRE(scores[i].per_token.size() == sampled[i].response_ids.size());
    for (const float reward : scores[i].per_token) CHECK(std::abs(reward) <= 0.5F);
    const double sum = std::accumulate(scores[i].per_token.begin(), scores[i].per_token.end(), 0.0);
    CHECK_THAT(sum, WithinAbs(component(scores[i], "sum"), 1e-6));
    CHECK_THAT(*scores[i].value, WithinAbs(sum / component(scores[i], "tokens"), 1e-9));
  }
  TregRewardOptions swapped;
  std::swap(swapped.better, swapped.worse);
  const auto opposite = TregReward(swapped, model()).score(sampled);
  CHECK_THAT(*opposite[0].value, WithinAbs(-*scores[0].value, 1e-5));
  sampled[0].messages = {{"system", "alone"}};
  CHECK_FALSE(TregReward({}, model()).score(sampled)[0].error.empty());
}

TEST_CASE("cream: log-likelihood ratios", "[rewards][cream][model]") {
  const auto alone = CreamReward({}, model(), nullptr).score(samples());
  CHECK(*alone[0].value == component(alone[0], "logprob"));
  CreamOptions mean;
  mean.norm = "mean";
  const auto per_token = CreamReward(mean, model(), nullptr).score(samples());
  CHECK_THAT(*per_token[0].value, WithinAbs(*alone[0].value / component(alone[0], "tokens"), 1e-9));
  CreamOptions skip;
  skip.first_iteration = "skip";
  const auto ratio = CreamReward(skip, model(), model(), model()).score(samples());
  for (const Score& score : ratio) {
    CHECK(*score.value == 0);
    for (const auto& [name, value] : score.components) CHECK(name != "previous");
  }
}

TEST_CASE("cream: the policy, the one before it and their reference", "[rewards][cream][unit]") {
  const auto policy = tiny_model(1, "one");
  const auto before = tiny_model(2, "two");
  const auto base = tiny_model(3, "three");
  std::vector<RewardSample> sampled(2);
  for (std::size_t i = 0; i < sampled.size(); ++i) {
    sampled[i].messages = {{"user", "Hello"}};
    sampled[i].response = i == 0 ? "abc" : "abcdefgh";
    sampled[i].response_ids = policy->tokenizer->encode(sampled[i].response);
  }
  const CreamReward reward({}, policy, base, before);
  CHECK(reward.content_hash() == "one-three-two");
  for (const Score& score : reward.score(sampled)) {
    const double reference = component(score, "reference_logprob");
    CHECK(*score.value == component(score, "logprob") - reference);
    CHECK(component(score, "previous") == component(score, "previous_logprob") - reference);
    CHECK(component(score, "previous") != *score.value);
  }
  // First iteration: the policy before is the reference, whose ratio would be 0 everywhere.
  for (const Score& score : CreamReward({}, policy, base, base).score(sampled)) {
    CHECK(component(score, "previous") ==
          component(score, "reference_logprob") / component(score, "tokens"));
    CHECK(*score.value == component(score, "logprob") - component(score, "reference_logprob"));
  }
  // A policy that was not trained yet ranks in the same way.
  for (const Score& score : CreamReward({}, base, base, base).score(sampled))
    CHECK(*score.value == component(score, "previous"));
}

TEST_CASE("a run's model is found by its name, another one by its path", "[rewards][model]") {
  RewardContext run(128,
                    [](const std::string&) { return test::model_path("smollm2-135m-instruct"); });
  run.share([](const std::string& name) { return name == "reference" ? model() : nullptr; });
  OptionValues values;
  CHECK(make_reward("treg", values, run)->content_hash() == model()->content_hash);
  CHECK(model()->content_hash.size() == 64);
  CHECK(run.language_model("reference") == model());
  CHECK(run.language_model("elsewhere") != model());
}

TEST_CASE("names of a run's models are refused where there is no run", "[rewards][unit]") {
  RewardContext alone;
  for (const std::string& name : run_model_names()) {
    const std::string message = message_of([&] { alone.language_model(name, "cream.model"); });
    CHECK(message.find("cream.model = " + name) != std::string::npos);
    CHECK(message.find("no run here") != std::string::npos);
  }
  CHECK_THROWS_AS(make_reward("cream", OptionValues(), alone), UsageError);
}
