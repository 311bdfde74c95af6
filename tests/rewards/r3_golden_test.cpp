#include <cmath>
#include <memory>

#include "r3_golden_samples.hpp"
#include "rewards/r3.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

/// Relevance values given in the order of the pairs; keeps the queries it was asked for.
class GivenRelevance final : public RelevanceBackend {
 public:
  explicit GivenRelevance(std::vector<double> values) : values_(std::move(values)) {}
  std::vector<double> relevance(std::span<const TextPair> pairs) const override {
    for (const TextPair& pair : pairs) queries.push_back(pair.query);
    return pairs.empty() ? std::vector<double>{} : values_;
  }
  mutable std::vector<std::string> queries;

 private:
  std::vector<double> values_;
};

}  // namespace

TEST_CASE("F agrees with the R^3 code", "[rewards][r3][golden]") {
  R3Options options;
  options.similarity = "dot";
  const auto golden = test::golden("r3.json");
  for (const auto& line : golden["line"]) {
    const R3Formula formula(options, line["max_sequence_length"].get<std::int64_t>());
    for (std::size_t i = 0; i < line["value"].size(); ++i) {
      CHECK_THAT(formula.f(test::number(line["value"][i])),
                 WithinRel(test::number(line["F"][i]), 1e-12));
    }
  }
}

TEST_CASE("dot products of pooled states agree with the R^3 code", "[rewards][r3][golden]") {
  const auto golden = test::golden("r3.json");
  for (const auto& row : golden["pooled"]) {
    const auto embedding = row["embedding"].get<std::vector<std::vector<float>>>();
    const std::size_t n = row["score"].size();
    for (std::size_t i = 0; i < embedding.size(); ++i) {
      for (std::size_t h = 0; h < embedding[i].size(); ++h) {
        double sum = 0, tokens = 0;
        for (std::size_t t = 0; t < row["mask"][i].size(); ++t) {
          sum += row["mask"][i][t].get<double>() * test::number(row["hidden"][i][t][h]);
          tokens += row["mask"][i][t].get<double>();
        }
        CHECK_THAT(embedding[i][h], WithinAbs(sum / tokens, 1e-6));
      }
    }
    for (std::size_t i = 0; i < n; ++i) {
      CHECK_THAT(similarity(embedding[i], embedding[n + i], Similarity::kDot),
                 WithinAbs(test::number(row["score"][i]), 1e-6));
    }
  }
}

// All seven combinations of switches the golden file has, with relevance given: float64, relative
// 1e-10.
TEST_CASE("rewards agree with the R^3 code for given relevance", "[rewards][r3][golden]") {
  const auto golden = test::golden("r3.json");
  const auto samples = test::golden_samples(golden);
  const auto relevance = golden["relevance_given"].get<std::vector<double>>();
  CHECK(golden["rewards"].size() == 7);
  for (const auto& row : golden["rewards"]) {
    R3Options options;
    options.similarity = "dot";
    options.negative = "keep";
    options.empty = "score";
    options.stop_format = golden["prompt_template"].get<std::string>();
    options.length_incentive = row["length_incentive"];
    options.repetition_penalty = row["repetition_penalty"];
    options.relevance_scaling = row["relevance_scaling"];
    options.reward_branching = row["reward_branching"];
    const auto backend = std::make_shared<GivenRelevance>(relevance);
    const auto scores = R3Reward(options, backend, 512).score(samples);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      INFO(row["query_used"][i] << " / " << samples[i].response.substr(0, 60));
      REQUIRE(scores[i].value);
      const double expected = test::number(row["reward_given"][i]);
      CHECK(std::abs(*scores[i].value - expected) <= 1e-10 * std::abs(expected) + 1e-12);
      CHECK(backend->queries[i] == row["query_used"][i].get<std::string>());
    }
  }
}

// The authors' combinations of switches that have a name of their own.
TEST_CASE("modes agree with the R^3 code", "[rewards][r3][golden]") {
  const auto golden = test::golden("r3.json");
  const auto samples = test::golden_samples(golden);
  const auto relevance = golden["relevance_given"].get<std::vector<double>>();
  const auto switches_of = [](const std::string& mode) {
    R3Options options;
    options.mode = mode;
    const R3Parts parts = r3_parts(options);
    return std::vector<bool>{parts.length, parts.repetition, parts.relevance, parts.branching};
  };
  std::size_t found = 0;
  for (const char* mode : {"r3", "li", "li*rp", "open_only", "r_x"}) {
    for (const auto& row : golden["rewards"]) {
      if (switches_of(mode) != std::vector<bool>{row["length_incentive"], row["repetition_penalty"],
                                                 row["relevance_scaling"],
                                                 row["reward_branching"]}) {
        continue;
      }
      ++found;
      R3Options options;
      options.mode = mode;
      options.similarity = "dot";
      options.empty = "score";
      const auto scores =
          R3Reward(options, std::make_shared<GivenRelevance>(relevance), 512).score(samples);
      for (std::size_t i = 0; i < samples.size(); ++i) {
        const double expected = test::number(row["reward_given"][i]);
        CHECK(std::abs(scores[i].value.value() - expected) <= 1e-10 * std::abs(expected) + 1e-12);
      }
    }
  }
  CHECK(found == 5);
}
