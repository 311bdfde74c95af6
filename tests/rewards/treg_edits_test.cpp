// Do T-REG's token rewards see edits? Words in the middle of a reference answer are replaced by the
// words of another answer; the spoilt span should be worth less than nothing, the original more.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/rng.hpp"
#include "core/strings.hpp"
#include "rewards/context.hpp"
#include "rewards/treg.hpp"
#include "support/files.hpp"

#include "support/catch.hpp"

namespace plumb {
namespace {

struct Question {
  std::string prompt;
  std::vector<std::string> words;
};

std::vector<Question> questions() {
  std::vector<Question> out;
  for (const char* file : {"demo_prompts.jsonl", "demo_prompts_more.jsonl"}) {
    std::ifstream in(std::string(PLUMB_SOURCE_DIR) + "/configs/data/" + file);
    for (std::string line; std::getline(in, line);) {
      const auto row = nlohmann::json::parse(line);
      if (row.at("reference").is_null()) continue;
      Question one{row.at("prompt"), {}};
      std::istringstream words(row.at("reference").get<std::string>());
      for (std::string word; words >> word;) one.words.push_back(word);
      if (one.words.size() >= 6) out.push_back(std::move(one));
    }
  }
  return out;
}

/// The answer with three words from its middle replaced by three of another answer.
std::vector<std::string> spoilt(const std::vector<Question>& all, std::size_t i) {
  const RandomStream stream(11, 0, i);
  const auto& other = all[(i + 1 + stream.below(0, all.size() - 1)) % all.size()].words;
  std::vector<std::string> words = all[i].words;
  const std::size_t at = 1 + stream.below(1, words.size() - 4);
  const std::size_t from = stream.below(2, other.size() - 2);
  for (std::size_t k = 0; k < 3; ++k) words[at + k] = other[from + k];
  return words;
}

RewardSample sample_of(const LanguageModel& model, const std::string& prompt,
                       const std::vector<std::string>& words) {
  RewardSample sample;
  sample.messages = {{"user", prompt}};
  sample.response = join(words, " ");
  sample.response_ids = model.tokenizer->encode(sample.response);
  sample.finished = false;
  return sample;
}

/// Mean over the tokens in which `own` differs from `other`: between common prefix and suffix.
double span_mean(const RewardSample& own, const RewardSample& other,
                 const std::vector<float>& values) {
  const auto &a = own.response_ids, &b = other.response_ids;
  std::size_t begin = 0, tail = 0;
  const std::size_t shorter = std::min(a.size(), b.size());
  while (begin < shorter && a[begin] == b[begin]) ++begin;
  while (tail < shorter - begin && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  double sum = 0.0;
  for (std::size_t t = begin; t < a.size() - tail; ++t) sum += values[t];
  return sum / static_cast<double>(std::max<std::size_t>(1, a.size() - tail - begin));
}

/// Chance of at least `hits` of `n` fair coins.
double chance(std::size_t hits, std::size_t n) {
  double sum = 0.0;
  for (std::size_t k = hits; k <= n; ++k)
    sum += std::exp(std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0) -
                    static_cast<double>(n) * std::log(2.0));
  return sum;
}

TEST_CASE("treg: token rewards of spoilt words lie below those of the original words",
          "[model][slow][treg]") {
  if (!std::filesystem::exists(test::model_path("smollm2-135m-instruct"))) {
    WARN("models/smollm2-135m-instruct is not there (scripts/setup fetches it): skipped");
    return;
  }
  RewardContext context(
      128, [](const std::string&) { return test::model_path("smollm2-135m-instruct"); });
  const auto model = context.language_model("smollm2");
  const TregReward treg(TregRewardOptions{}, model);
  const std::vector<Question> all = questions();
  std::vector<RewardSample> samples;
  for (std::size_t i = 0; i < all.size(); ++i) {
    samples.push_back(sample_of(*model, all[i].prompt, all[i].words));
    samples.push_back(sample_of(*model, all[i].prompt, spoilt(all, i)));
  }
  const std::vector<Score> scores = treg.score(samples);
  std::size_t good_positive = 0, bad_negative = 0, ordered = 0;
  double good_sum = 0.0, bad_sum = 0.0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    REQUIRE(scores[2 * i].per_token.size() == samples[2 * i].response_ids.size());
    const double good = span_mean(samples[2 * i], samples[2 * i + 1], scores[2 * i].per_token);
    const double bad = span_mean(samples[2 * i + 1], samples[2 * i], scores[2 * i + 1].per_token);
    good_sum += good;
    bad_sum += bad;
    good_positive += good > 0.0 ? 1 : 0;
    bad_negative += bad < 0.0 ? 1 : 0;
    ordered += good > bad ? 1 : 0;
  }
  const std::size_t n = all.size();
  std::cout << "answers " << n << ": original span positive in " << good_positive << " (chance "
            << chance(good_positive, n) << "), spoilt span negative in " << bad_negative
            << " (chance " << chance(bad_negative, n) << "), original above spoilt in " << ordered
            << " (chance " << chance(ordered, n) << "); means " << good_sum / static_cast<double>(n)
            << " and " << bad_sum / static_cast<double>(n) << "\n";
  CHECK(n == 45);
  CHECK(chance(ordered, n) < 0.01);
  CHECK(chance(bad_negative, n) < 0.01);
}

}  // namespace
}  // namespace plumb
