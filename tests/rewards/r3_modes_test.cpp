#include <algorithm>
#include <memory>

#include "core/error.hpp"
#include "rewards/r3.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinRel;

namespace {

class ConstantRelevance final : public RelevanceBackend {
 public:
  explicit ConstantRelevance(double value) : value_(value) {}
  std::vector<double> relevance(std::span<const TextPair> pairs) const override {
    return std::vector<double>(pairs.size(), value_);
  }

 private:
  double value_;
};

/// 8 words, RP 0.5; LI 0.08.
RewardSample cats(const std::string& kind) {
  RewardSample sample;
  sample.messages = {{"user", "cats"}};
  sample.response = "the cat sat the cat sat the cat";
  sample.reference = "a cat";
  sample.kind = kind;
  return sample;
}

Score score_in(const std::string& mode, const std::string& kind, double relevance = 0.6) {
  R3Options options;
  options.mode = mode;
  const R3Reward module(options, std::make_shared<ConstantRelevance>(relevance), 512);
  return module.score(std::vector{cats(kind)}).front();
}

std::optional<double> component(const Score& score, const std::string& name) {
  for (const auto& [key, value] : score.components) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("r3 modes count their factors", "[rewards][r3][unit]") {
  struct Case {
    const char* mode;
    double open, constrained;
  };
  // Relevance 0.6, LI 0.08, RP 0.5; F(0.6) = 0.6 * 5.12 = 3.072.
  const Case cases[] = {
      {"r3", 0.6 * 0.08 * 0.5, 3.072 * 0.5},
      {"r_x", 0.6, 0.6},
      {"relevance", 0.6, 3.072},
      {"li", 0.08, 0.08},
      {"rp", 0.5, 0.5},
      {"li*rp", 0.08 * 0.5, 0.08 * 0.5},
      {"r_x*li", 0.6 * 0.08, 0.6 * 0.08},
      {"r_x*rp", 0.6 * 0.5, 0.6 * 0.5},
      {"open_only", 0.6 * 0.08 * 0.5, 0.6 * 0.08 * 0.5},
  };
  for (const Case& one : cases) {
    INFO(one.mode);
    CHECK_THAT(*score_in(one.mode, "open").value, WithinRel(one.open, 1e-12));
    CHECK_THAT(*score_in(one.mode, "constrained").value, WithinRel(one.constrained, 1e-12));
  }
  CHECK(R3Options::mode_names().size() == std::size(cases) + 1);  // and random_qtype
}

TEST_CASE("r3: every factor is stored in every mode", "[rewards][r3][unit]") {
  for (const std::string& mode : R3Options::mode_names()) {
    INFO(mode);
    const Score score = score_in(mode, "open");
    for (const char* name : {"relevance", "li", "rp", "words", "copy_rate"}) {
      CHECK(component(score, name));
    }
  }
}

TEST_CASE("r3: random query types depend on the prompt and the seed alone", "[rewards][r3][unit]") {
  R3Options options;
  options.mode = "random_qtype";
  std::vector<RewardSample> samples;
  for (int i = 0; i < 200; ++i) {
    samples.push_back(cats("open"));
    samples.back().messages[0].content = "question " + std::to_string(i);
  }
  const auto kinds = [&](const R3Options& with, std::vector<RewardSample> of) {
    std::vector<std::string> out;
    for (const Score& score :
         R3Reward(with, std::make_shared<ConstantRelevance>(0.5), 512).score(of)) {
      for (const auto& [name, value] : score.labels) {
        if (name == "kind") out.push_back(value);
      }
    }
    return out;
  };
  const auto drawn = kinds(options, samples);
  REQUIRE(drawn.size() == 200);
  const auto open = std::count(drawn.begin(), drawn.end(), "open");
  CHECK(open > 70);  // 100 expected, standard deviation 7
  CHECK(open < 130);
  CHECK(kinds(options, {samples[7]}).front() == drawn[7]);
  options.kind.seed = 43;
  CHECK(kinds(options, samples) != drawn);
}

TEST_CASE("r3: negative relevance by default follows the similarity", "[rewards][r3][unit]") {
  R3Options options;
  options.mode = "r_x";
  const auto value = [&] {
    return *R3Reward(options, std::make_shared<ConstantRelevance>(-0.2), 512)
                .score(std::vector{cats("open")})
                .front()
                .value;
  };
  CHECK(value() == 0);
  options.similarity = "dot";
  CHECK(value() == -0.2);
  options.backend = "lm_hidden";  // always a cosine
  CHECK(value() == 0);
  options.negative = "keep";
  CHECK(value() == -0.2);
}

TEST_CASE("r3: a mode without relevance needs no user turn", "[rewards][r3][unit]") {
  RewardSample sample = cats("open");
  sample.messages.clear();
  R3Options options;
  options.mode = "li";
  const R3Reward module(options, std::make_shared<ConstantRelevance>(0.5), 512);
  const Score score = module.score(std::vector{sample}).front();
  CHECK(*score.value == 0.08);
  CHECK_FALSE(component(score, "relevance"));
}
