#include "rewards/r3.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include "core/error.hpp"

#include "support/catch.hpp"

using namespace plumb;
using Catch::Matchers::WithinRel;

namespace {

/// Gives the relevance that stands for a pair, and 0.5 for others.
class FixedRelevance final : public RelevanceBackend {
 public:
  explicit FixedRelevance(double value = 0.5) : value_(value) {}
  std::vector<double> relevance(std::span<const TextPair> pairs) const override {
    std::vector<double> values;
    for (const TextPair& pair : pairs) {
      seen.push_back(pair);
      const auto known = by_response.find(pair.response);
      values.push_back(known == by_response.end() ? value_ : known->second);
    }
    return values;
  }
  std::map<std::string, double> by_response;
  mutable std::vector<TextPair> seen;

 private:
  double value_;
};

RewardSample sample(const std::string& prompt, const std::string& response,
                    std::optional<std::string> kind = std::nullopt,
                    std::optional<std::string> reference = std::nullopt) {
  RewardSample s;
  s.messages = {{"user", prompt}};
  s.response = response;
  s.kind = std::move(kind);
  s.reference = std::move(reference);
  return s;
}

Score score_one(const RewardSample& s, double relevance, R3Options options = {},
                std::int64_t max_new_tokens = 512) {
  const R3Reward module(options, std::make_shared<FixedRelevance>(relevance), max_new_tokens);
  return module.score(std::vector{s}).front();
}

double component(const Score& score, const std::string& name) {
  for (const auto& [key, value] : score.components) {
    if (key == name) return value;
  }
  throw std::runtime_error("no component " + name);
}

std::string label(const Score& score, const std::string& name) {
  for (const auto& [key, value] : score.labels) {
    if (key == name) return value;
  }
  return {};
}

const std::string kCats = "the cat sat the cat sat the cat";  // 8 words, RP 0.5

}  // namespace

TEST_CASE("r3: open queries multiply relevance, length and repetition", "[rewards][r3][unit]") {
  // 1.25 * 0.08 * 0.5 = 0.05
  const Score score = score_one(sample("cats", kCats, "open"), 1.25);
  CHECK_THAT(*score.value, WithinRel(0.05, 1e-12));
  CHECK(component(score, "relevance") == 1.25);
  CHECK(component(score, "li") == 0.08);
  CHECK(component(score, "rp") == 0.5);
  CHECK(component(score, "words") == 8);
  CHECK(component(score, "trigrams") == 6);
  CHECK(component(score, "unique_trigrams") == 3);
  CHECK(label(score, "branch") == "open");
  CHECK(label(score, "query") == "prompt");
}

TEST_CASE("r3: constrained queries map relevance to the reference through F",
          "[rewards][r3][unit]") {
  R3Options options;
  options.closed_in = {0, 3.5};
  // F(1.4) = 1.4 / 3.5 * 5.12 = 2.048 for responses of at most 512 tokens; times RP 0.5
  const Score score = score_one(sample("cats", kCats, "CONSTRAINED", "a cat"), 1.4, options);
  CHECK_THAT(*score.value, WithinRel(1.024, 1e-12));
  CHECK_THAT(component(score, "F"), WithinRel(2.048, 1e-12));
  CHECK(label(score, "branch") == "constrained");
  CHECK(label(score, "query") == "reference");
  // 128 tokens: 1.4 / 3.5 * 1.28 = 0.512
  CHECK_THAT(component(score_one(sample("cats", kCats, "closed", "a cat"), 1.4, options, 128), "F"),
             WithinRel(0.512, 1e-12));
  options.closed_out_end = 3.5;
  CHECK_THAT(component(score_one(sample("cats", kCats, "closed", "a cat"), 1.4, options), "F"),
             WithinRel(1.4, 1e-12));
}

TEST_CASE("r3: F is a line without ends", "[rewards][r3][unit]") {
  CHECK_THAT(r3_line(0.7, 0, 3.5, 5.12), WithinRel(1.024, 1e-12));
  CHECK_THAT(r3_line(4.0, 0, 3.5, 5.12), WithinRel(5.8514285714285714, 1e-12));
  CHECK_THAT(r3_line(-0.2, 0, 3.5, 5.12), WithinRel(-0.29257142857142859, 1e-12));
  CHECK_THAT(r3_line(0.5, 0.25, 0.75, 2), WithinRel(1.0, 1e-12));
}

TEST_CASE("r3: defaults of the line follow the similarity", "[rewards][r3][unit]") {
  R3Options options;
  CHECK(R3Formula(options, 512).f(1) == 5.12);
  options.similarity = "dot";
  CHECK(R3Formula(options, 512).f(3.5) == 5.12);
  options.backend = "lexical";
  CHECK(R3Formula(options, 512).f(1) == 5.12);
  const auto bad =
      GENERATE(std::vector<double>{1}, std::vector<double>{1, 1}, std::vector<double>{0, 1, 2});
  options.closed_in = bad;
  CHECK_THROWS_AS(R3Formula(options, 512), UsageError);
}

TEST_CASE("r3: kinds may be spelled in several ways", "[rewards][r3][unit]") {
  const auto [kind, branch] =
      GENERATE(std::pair{"open", "open"}, std::pair{"OPENENDED", "open"},
               std::pair{"Open-Ended", "open"}, std::pair{"constrained", "constrained"},
               std::pair{"Closed", "constrained"}, std::pair{"CONSTRAINED", "constrained"});
  CHECK(label(score_one(sample("q", "a b c", kind, "ref"), 0.5), "branch") == branch);
}

TEST_CASE("r3: an unknown kind is the sample's error", "[rewards][r3][unit]") {
  const Score score = score_one(sample("q", "a", "maths", "ref"), 0.5);
  CHECK_FALSE(score.value);
  CHECK(score.error.find("maths") != std::string::npos);
}

TEST_CASE("r3: without a kind a short reference means constrained", "[rewards][r3][unit]") {
  std::string long_reference;
  for (int i = 0; i < 30; ++i) long_reference += "word ";
  const auto branch = [](const Score& score) {
    return label(score, "branch") + "/" + label(score, "kind_source");
  };
  CHECK(branch(score_one(sample("q", "a", {}, "Canberra"), 0.5)) == "constrained/rule");
  CHECK(branch(score_one(sample("q", "a", {}, long_reference), 0.5)) == "open/rule");
  CHECK(branch(score_one(sample("q", "a", {}, " \n"), 0.5)) == "open/rule");
  CHECK(branch(score_one(sample("q", "a"), 0.5)) == "open/rule");
  CHECK(branch(score_one(sample("q", "a", " "), 0.5)) == "open/rule");
  R3Options options;
  options.kind.source = {"column", "constrained"};
  CHECK(branch(score_one(sample("q", "a", {}, long_reference), 0.5, options)) ==
        "constrained/fixed");
  CHECK(branch(score_one(sample("q", "a", "open", "x"), 0.5, options)) == "open/given");
}

TEST_CASE("r3: constrained without a reference", "[rewards][r3][unit]") {
  const RewardSample s = sample("cats", kCats, "constrained");
  R3Options options;
  const Score relevance_only = score_one(s, 0.6, options);
  CHECK_THAT(*relevance_only.value, WithinRel(0.3, 1e-12));  // 0.6 * RP 0.5, no LI
  CHECK(label(relevance_only, "branch") == "relevance_only");
  CHECK(label(relevance_only, "query") == "prompt");
  options.closed_no_reference = "open";
  CHECK_THAT(*score_one(s, 0.6, options).value, WithinRel(0.6 * 0.08 * 0.5, 1e-12));
  options.closed_no_reference = "error";
  CHECK_FALSE(score_one(s, 0.6, options).value);
}

TEST_CASE("r3: negative relevance", "[rewards][r3][unit]") {
  R3Options options;
  options.length_incentive = false;
  const RewardSample varied = sample("cats", "the cat sat down", "open"),
                     repeated = sample("cats", kCats, "open");
  CHECK(*score_one(varied, -0.2, options).value == 0);
  CHECK(*score_one(repeated, -0.2, options).value == 0);
  CHECK(*score_one(varied, -0.2, options).raw == -0.2);
  CHECK(component(score_one(varied, -0.2, options), "relevance") == -0.2);
  options.negative = "keep";  // repetition is then rewarded: -0.1 > -0.2
  CHECK(*score_one(varied, -0.2, options).value == -0.2);
  CHECK(*score_one(repeated, -0.2, options).value == -0.1);
}

TEST_CASE("r3: an empty response is worth 0 and says so", "[rewards][r3][unit]") {
  const auto [text, expected] = GENERATE(std::pair{"", "response"}, std::pair{" \n", "response"},
                                         std::pair{"### Response: x", "after_cut"});
  for (const char* kind : {"open", "constrained"}) {
    const Score score = score_one(sample("q", text, kind, "ref"), 0.9);
    CHECK(*score.value == 0);
    CHECK(score.error.empty());
    CHECK(label(score, "empty") == expected);
  }
  R3Options options;
  options.empty = "score";
  options.closed_in = {0, 1};
  options.closed_out_end = 2;
  CHECK(*score_one(sample("q", text, "constrained", "ref"), 0.9, options).value == 1.8);
}

TEST_CASE("r3: length cap and n-gram options", "[rewards][r3][unit]") {
  R3Options options;
  options.li_cap = 0.05;
  options.ngram = 1;  // 3 distinct of 8 words
  CHECK_THAT(*score_one(sample("q", kCats, "open"), 1, options).value,
             WithinRel(0.05 * 3 / 8, 1e-12));
}

TEST_CASE("r3: the counted text ends at role marks, relevance sees the whole response",
          "[rewards][r3][unit]") {
  const auto backend = std::make_shared<FixedRelevance>();
  const RewardSample s = sample("q", "Yes, it is.\n### Instruction: more", "open");
  CHECK(component(R3Reward({}, backend, 512).score(std::vector{s})[0], "words") == 5);
  CHECK(backend->seen.back().response == s.response);
  R3Options options;
  options.cut_for_relevance = true;
  R3Reward(options, backend, 512).score(std::vector{s});
  CHECK(backend->seen.back().response == "Yes, it is.");
}

TEST_CASE("r3: windows take the most relevant part", "[rewards][r3][unit]") {
  const auto backend = std::make_shared<FixedRelevance>(0.1);
  backend->by_response["three four"] = 0.8;
  R3Options options;
  options.window = 2;
  const std::vector samples{sample("q", "one two three four five", "open"),
                            sample("q", "one", "open")};
  const auto scores = R3Reward(options, backend, 512).score(samples);
  CHECK(component(scores[0], "relevance") == 0.8);
  CHECK(component(scores[1], "relevance") == 0.1);
}

TEST_CASE("r3: order of the samples changes no score", "[rewards][r3][unit]") {
  std::vector<RewardSample> samples{
      sample("What is rain?", "Rain is water.", "open"), sample("What is rain?", "", "open"),
      sample("Name a colour.", "Blue blue blue blue", "closed", "blue"),
      sample("bad", "\xFF", "open"), sample("What is rain?", "Snow.", "open")};
  const R3Reward module({}, std::make_shared<LexicalRelevance>(), 512);
  const auto scores = module.score(samples);
  std::reverse(samples.begin(), samples.end());
  const auto reversed = module.score(samples);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    CHECK(scores[i].value == reversed[scores.size() - 1 - i].value);
    CHECK(scores[i].components == reversed[scores.size() - 1 - i].components);
  }
  CHECK(module.score({}).empty());
}

TEST_CASE("r3: a bad sample leaves the others alone", "[rewards][r3][unit]") {
  RewardSample no_user = sample("", "text", "open");
  no_user.messages = {{"system", "Be kind."}};
  const std::vector samples{sample("q", "\xC3(", "open"), sample("q", "fine words", "open"),
                            no_user, sample("q", "x", "closed", "\xFF")};
  const auto scores = R3Reward({}, std::make_shared<FixedRelevance>(), 512).score(samples);
  CHECK(scores[0].error == "response is not valid UTF-8");
  CHECK(scores[1].value);
  CHECK(scores[1].error.empty());
  CHECK(scores[2].error == "the prompt has no user turn with text");
  CHECK(scores[3].error == "reference is not valid UTF-8");
  CHECK_FALSE(scores[0].value);
}

TEST_CASE("r3: a relevance that is no number is an error", "[rewards][r3][unit]") {
  const Score score = score_one(sample("q", "text", "open"), std::nan(""));
  CHECK_FALSE(score.value);
  CHECK_FALSE(score.error.empty());
}

TEST_CASE("r3: copying is counted in runs of four words", "[rewards][r3][unit]") {
  const Score three = score_one(sample("one two three four", "one two three nine", "open"), 1);
  CHECK(component(three, "copy_rate") == 0.0);
  const Score four = score_one(sample("one two three four", "one two three four nine", "open"), 1);
  CHECK(component(four, "copy_rate") == 0.5);
}
