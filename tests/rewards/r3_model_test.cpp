#include <cmath>
#include <fstream>
#include <memory>

#include "r3_golden_samples.hpp"
#include "rewards/r3.hpp"
#include "rewards/registry.hpp"
#include "rewards/relevance.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinAbs;

namespace {

/// The fetched encoder with the tokenizer's own limit of 512 tokens, which the R^3 code uses,
/// instead of the 256 of the sentence-transformers file.
class LongEncoder {
 public:
  explicit LongEncoder(std::int64_t max_tokens) {
    for (const auto& entry :
         std::filesystem::directory_iterator(test::model_path("all-minilm-l6-v2"))) {
      const auto name = entry.path().filename();
      if (name != "sentence_bert_config.json") {
        std::filesystem::create_symlink(entry.path(), folder_.path() / name);
      }
    }
    std::ofstream(folder_ / "sentence_bert_config.json")
        << nlohmann::json{{"max_seq_length", max_tokens}, {"do_lower_case", false}};
  }
  std::string path() const { return folder_.path().string(); }

 private:
  test::TempDir folder_;
};

bool close(double ours, double theirs) {
  return std::abs(ours - theirs) <= 1e-4 * std::max(1.0, std::abs(theirs));
}

}  // namespace

TEST_CASE("rewards with a real encoder agree with the R^3 code", "[rewards][r3][golden][model]") {
  const auto golden = test::golden("r3.json");
  const LongEncoder folder(golden["encoder_max_tokens"].get<std::int64_t>());
  const auto samples = test::golden_samples(golden);
  RewardContext context(512);
  for (const auto& row : golden["rewards"]) {
    R3Options options;
    options.encoder = folder.path();
    options.similarity = "dot";
    options.negative = "keep";
    options.empty = "score";
    options.length_incentive = row["length_incentive"];
    options.repetition_penalty = row["repetition_penalty"];
    options.relevance_scaling = row["relevance_scaling"];
    options.reward_branching = row["reward_branching"];
    const auto scores = R3Reward::make(options, context)->score(samples);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      INFO(samples[i].response.substr(0, 60));
      REQUIRE(scores[i].value);
      CHECK(close(*scores[i].value, test::number(row["reward_minilm"][i])));
    }
  }
}

TEST_CASE("measured relevance agrees with the R^3 code", "[rewards][r3][golden][model]") {
  const auto golden = test::golden("r3.json");
  const LongEncoder folder(golden["encoder_max_tokens"].get<std::int64_t>());
  RewardContext context;
  const EncoderRelevance relevance(context.encoder(folder.path()), Similarity::kDot, true);
  std::vector<TextPair> pairs;
  for (std::size_t i = 0; i < golden["items"].size(); ++i) {
    pairs.push_back({golden["rewards"][0]["query_used"][i], golden["items"][i]["response"]});
  }
  const auto values = relevance.relevance(pairs);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    CHECK(close(values[i], test::number(golden["relevance_minilm"][i])));
  }
}

TEST_CASE("the default r3 reward orders answers sensibly", "[rewards][r3][model]") {
  RewardContext context(96,
                        [](const std::string&) { return test::model_path("all-minilm-l6-v2"); });
  const auto module = make_reward("r3", OptionValues{}, context);
  CHECK(module->content_hash().size() == 64);
  std::vector<RewardSample> samples(3);
  for (RewardSample& sample : samples) {
    sample.messages = {{"user", "What is the capital of Australia?"}};
    sample.reference = "The capital of Australia is Canberra.";
    sample.kind = "constrained";
  }
  samples[0].response = "The capital of Australia is Canberra.";
  samples[1].response = "Canberra is its capital, I think.";
  samples[2].response = "Potatoes grow under the ground.";
  const auto scores = module->score(samples);
  CHECK_THAT(*scores[0].value, WithinAbs(0.96, 1e-5));  // cosine 1, F(1) = 96 / 100, no repetition
  CHECK(*scores[0].value > *scores[1].value);
  CHECK(*scores[1].value > *scores[2].value);
}

TEST_CASE("a context loads an encoder once", "[rewards][model]") {
  RewardContext context;
  const std::string folder = test::model_path("all-minilm-l6-v2").string();
  CHECK(context.encoder(folder) == context.encoder(folder + "/."));
}
